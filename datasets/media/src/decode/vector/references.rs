//! What an SVG's references make of it: counted on the document, before usvg follows them.
//!
//! `use` copies what it names, and every shape that is painted, masked, clipped, filtered or marked draws what it names anew; what is named
//! may name more. The count is what following everything would cost; the graph has no circle, so each element's is known once its targets'
//! are, however many times it is drawn.

use super::styles::{self, Styled};
use resvg::usvg::roxmltree::{Document, Node};
use simplecss::{DeclarationTokenizer, StyleSheet};
use std::collections::HashMap;

/// Deepest nesting, of elements within each other and of references: the parser and the renderer recurse once a level.
const MAX_DEPTH: u32 = 256;
/// Most steps, of about five nanoseconds: an element is a thousand and more, a byte of an attribute twenty.
const MAX_STEPS: u64 = 500_000_000;
/// Most references that are followed, with their repetitions: each makes something that is compared with all others.
const MAX_USES: u64 = 50_000;
/// Most references of one element, those that it inherits among them.
const MAX_NAMED: usize = 200;
/// Most steps of a search for circles that the parser does for each pattern, clip, mask and filter.
const MAX_SWEEPS: u64 = 200_000_000;

/// How deep it goes, through references too.
///
/// # Errors
/// What is too much, or a circle.
pub(super) fn check(document: &Document) -> Result<u32, String> {
    let graph = Graph::new(document)?;
    let cost = graph.cost()?;
    if cost.depth > MAX_DEPTH {
        return Err(format!("elements and references nested deeper than {MAX_DEPTH}"));
    }
    if cost.uses > MAX_USES {
        return Err(format!("more than {MAX_USES} references, with their repetitions"));
    }
    if cost.steps > MAX_STEPS || cost.sweeps > MAX_SWEEPS {
        return Err("elements and references that multiply beyond what a drawing may cost".into());
    }
    Ok(cost.depth)
}

/// The kinds of paint and marks that shapes inherit.
const INHERITED: [&str; 5] = ["fill", "stroke", "marker-start", "marker-mid", "marker-end"];
/// The first of them that is a mark: drawn at each corner of a path.
const MARKS: usize = 2;
const SHAPES: [&str; 9] =
    ["path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "image"];
/// Elements whose `href` names another element that is drawn or read.
const LINKED: [&str; 7] = ["use", "pattern", "linearGradient", "radialGradient", "filter", "feImage", "tref"];
/// Elements for which the parser searches for circles.
const SEARCHED: [&str; 4] = ["pattern", "clipPath", "mask", "filter"];

/// An element, and which others it names.
#[derive(Default)]
struct Element {
    /// Steps of its own: attributes, styles, ancestors that are asked.
    own: u64,
    /// Bytes of its path.
    path: u64,
    shape: bool,
    searched: bool,
    /// What lies in it.
    children: Vec<u32>,
    /// What `use` copies.
    copied: Vec<u32>,
    /// What else it names itself.
    named: Vec<u32>,
    /// What it is painted and marked with, by itself or by an element around it.
    painted: [Vec<u32>; 5],
}

/// What an element costs with everything that it leads to.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    steps: u64,
    uses: u64,
    depth: u32,
    /// Elements, shapes and bytes of paths once `use` has copied.
    elements: u64,
    shapes: u64,
    path: u64,
    /// Elements below all that is named.
    links: u64,
    sweeps: u64,
}

struct Graph(Vec<Element>);

impl Graph {
    fn new(document: &Document) -> Result<Self, String> {
        let nodes: Vec<Node> = document.descendants().filter(|n| n.is_element()).collect();
        let place: HashMap<_, u32> = nodes.iter().zip(0..).map(|(n, i)| (n.id(), i)).collect();
        // Of several equal ids the first counts for `use`, the last for all else.
        let mut ids: HashMap<&str, (u32, u32)> = HashMap::new();
        for (node, i) in nodes.iter().zip(0..) {
            if let Some(id) = node.attribute("id") {
                ids.entry(id).and_modify(|(_, last)| *last = i).or_insert((i, i));
            }
        }
        let depths = depths(&nodes, &place)?;
        let sheet = styles::sheet(document);
        let steps = styles::steps(&sheet, depths.iter().copied().max().unwrap_or(0).into());
        if steps.saturating_mul(nodes.len() as u64) > MAX_STEPS {
            return Err("style sheets that are too costly to match".into());
        }
        let mut graph: Vec<Element> = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            let parent = node.parent_element().and_then(|p| place.get(&p.id())).map(|p| *p as usize);
            let around = parent.map(|p| &graph[p]);
            let mut element = read(*node, around, &sheet, &ids)?;
            element.own += 1000 + 100 * u64::from(depths[i]) + 2 * steps;
            graph.push(element);
            if let Some(parent) = parent {
                graph[parent].children.push(i as u32);
            }
        }
        Ok(Self(graph))
    }

    /// The cost of the first element, which is around all others.
    fn cost(&self) -> Result<Cost, String> {
        let mut known: Vec<Option<Cost>> = vec![None; self.0.len()];
        let mut begun = vec![false; self.0.len()];
        let mut way: Vec<(u32, Vec<u32>)> = vec![(0, self.leads_to(0))];
        if let Some(first) = begun.first_mut() {
            *first = true;
        }
        while let Some((at, left)) = way.last_mut() {
            let at = *at as usize;
            match left.pop() {
                Some(next) if known[next as usize].is_some() => {}
                Some(next) if begun[next as usize] => return Err("references that go in a circle".into()),
                Some(next) => {
                    begun[next as usize] = true;
                    way.push((next, self.leads_to(next as usize)));
                }
                None => {
                    known[at] = Some(self.sum(at, &known));
                    way.pop();
                }
            }
        }
        Ok(known.first().copied().flatten().unwrap_or_default())
    }

    fn leads_to(&self, at: usize) -> Vec<u32> {
        let Some(e) = self.0.get(at) else { return Vec::new() };
        let mut all = [&e.children[..], &e.copied, &e.named].concat();
        if e.shape || !e.copied.is_empty() {
            all.extend(e.painted.iter().flatten());
        }
        all
    }

    fn sum(&self, at: usize, known: &[Option<Cost>]) -> Cost {
        let e = &self.0[at];
        let of = |i: &u32| known[*i as usize].unwrap_or_default();
        let mut sum = Cost {
            steps: e.own,
            uses: 0,
            depth: 0,
            elements: 1,
            shapes: e.shape.into(),
            path: e.path,
            links: 0,
            sweeps: 0,
        };
        for part in e.children.iter().chain(&e.copied).map(of) {
            sum.add(&part, 1);
            sum.elements = sum.elements.saturating_add(part.elements);
            sum.shapes = sum.shapes.saturating_add(part.shapes);
            sum.path = sum.path.saturating_add(part.path);
            sum.links = sum.links.saturating_add(part.links);
            sum.sweeps = sum.sweeps.saturating_add(part.sweeps);
        }
        sum.uses = sum.uses.saturating_add(e.copied.len() as u64);
        for named in e.named.iter().map(of) {
            sum.name(&named, 1);
        }
        // A shape draws its paint once and its marks at each corner, of which there is one in two bytes of its path at most; a mark may be
        // painted as its path is. What `use` copies inherits what is around it.
        let (shapes, corners) = match (e.shape, e.copied.first()) {
            (true, _) => (1, 6 + e.path / 2),
            (_, Some(_)) => (sum.shapes, sum.shapes.saturating_mul(6).saturating_add(sum.path / 2)),
            _ => (0, 0),
        };
        if shapes > 0 {
            let marks = || e.painted[MARKS..].iter().flatten().map(of);
            let marked = marks().fold(0u64, |n, m| n.saturating_add(m.shapes)).saturating_mul(corners);
            for paint in e.painted[..MARKS].iter().flatten().map(of) {
                sum.name(&paint, shapes.saturating_add(marked));
            }
            for mark in marks() {
                sum.name(&mark, corners);
            }
        }
        if e.searched {
            sum.sweeps = sum.sweeps.saturating_add(sum.links).saturating_add(sum.elements);
        }
        sum.depth = sum.depth.saturating_add(1);
        sum
    }
}

impl Cost {
    fn add(&mut self, part: &Self, times: u64) {
        self.steps = self.steps.saturating_add(part.steps.saturating_mul(times));
        self.uses = self.uses.saturating_add(part.uses.saturating_mul(times));
        self.depth = self.depth.max(part.depth);
    }

    /// Something that is named and drawn so many times.
    fn name(&mut self, named: &Self, times: u64) {
        self.add(named, times);
        self.uses = self.uses.saturating_add(times);
        self.links = self.links.saturating_add(named.elements);
    }
}

/// Depths in the document, from 1; a parent comes before its children.
fn depths(nodes: &[Node], place: &HashMap<resvg::usvg::roxmltree::NodeId, u32>) -> Result<Vec<u32>, String> {
    let mut depths: Vec<u32> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let parent = node.parent_element().and_then(|p| place.get(&p.id()));
        let depth = parent.map_or(1, |p| depths[*p as usize] + 1);
        if depth > MAX_DEPTH {
            return Err(format!("elements and references nested deeper than {MAX_DEPTH}"));
        }
        depths.push(depth);
    }
    Ok(depths)
}

/// One element's attributes, style and matched rules.
fn read(
    node: Node,
    around: Option<&Element>,
    sheet: &StyleSheet,
    ids: &HashMap<&str, (u32, u32)>,
) -> Result<Element, String> {
    let tag = node.tag_name().name();
    let mut e =
        Element { shape: SHAPES.contains(&tag), searched: SEARCHED.contains(&tag), ..Element::default() };
    let (mut given, mut taken) = ([false; 5], [false; 5]);
    let mut taken_others = false;
    let find = |id: &str| {
        ids.get(id).map(|(first, last)| if first == last { vec![*first] } else { vec![*first, *last] })
    };
    let mut value = |e: &mut Element, name: &str, value: &str| {
        e.own += 20 * value.len() as u64;
        let kinds: &[usize] = match name {
            "fill" => &[0],
            "stroke" => &[1],
            "marker-start" => &[2],
            "marker-mid" => &[3],
            "marker-end" => &[4],
            "marker" => &[2, 3, 4],
            _ => &[],
        };
        let inherits = value.trim() == "inherit";
        taken_others |= inherits && kinds.is_empty();
        for kind in kinds {
            given[*kind] = true;
            taken[*kind] |= inherits;
        }
        // One paint or mark a value; of filters there may be many.
        let most = if kinds.is_empty() { usize::MAX } else { 1 };
        let targets: Vec<u32> = urls(value).take(most).filter_map(find).flatten().collect();
        match kinds {
            [] => e.named.extend(targets),
            kinds => kinds.iter().for_each(|k| e.painted[*k].extend(&targets)),
        }
    };
    for attribute in node.attributes() {
        let (name, text) = (attribute.name(), attribute.value());
        match name {
            "href" if LINKED.contains(&tag) => {
                let targets = find(text.trim().strip_prefix('#').unwrap_or_default());
                if tag == "use" { &mut e.copied } else { &mut e.named }.extend(targets.unwrap_or_default());
            }
            "style" => DeclarationTokenizer::from(text).for_each(|d| value(&mut e, d.name, d.value)),
            "d" | "points" => {
                e.path += text.len() as u64;
                e.own += 20 * text.len() as u64;
            }
            _ => value(&mut e, name, text),
        }
    }
    for rule in sheet.rules.iter().filter(|rule| rule.selector.matches(&Styled(node))) {
        for declaration in &rule.declarations {
            value(&mut e, declaration.name, declaration.value);
            e.own += 100;
        }
    }
    if let Some(around) = around {
        for kind in (0..INHERITED.len()).filter(|k| !given[*k] || taken[*k]) {
            e.painted[kind].extend(&around.painted[kind]);
        }
        if taken_others {
            e.named.extend(&around.named);
        }
    }
    if e.named.len() > MAX_NAMED || e.painted.iter().any(|p| p.len() > MAX_NAMED) {
        return Err(format!("an element that names more than {MAX_NAMED} others"));
    }
    Ok(e)
}

/// The ids in `url(#id)`, quoted or not.
fn urls(value: &str) -> impl Iterator<Item = &str> {
    value.split("url(").skip(1).filter_map(|rest| {
        let inner = rest.split(')').next()?.trim().trim_matches(['"', '\'']).trim();
        inner.strip_prefix('#')
    })
}
