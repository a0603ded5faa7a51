//! Walking a graph from node to nearer node: the greedy search with a beam of Vamana (Subramanya et al., DiskANN, NeurIPS 2019).

use crate::codes::{Asked, Rows};

/// No node.
pub(crate) const NONE: u32 = u32::MAX;
/// Nodes that every walk begins at: the first ones, which are any. Several, since a query of another modality lies far from all.
const STARTS: usize = 48;
/// Nodes whose rows are fetched while others are scored.
const AHEAD: usize = 6;

/// Nodes and their links. Node `n` is row `rows[n]`, and leads to those of `degree` links that are nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Net<'a> {
    pub(crate) rows: &'a [u32],
    pub(crate) links: &'a [u32],
    pub(crate) degree: usize,
}

impl<'a> Net<'a> {
    fn len(self) -> usize {
        self.rows.len()
    }

    /// Where a node leads.
    pub(crate) fn links(self, node: u32) -> impl Iterator<Item = u32> + Clone + 'a {
        let at = node as usize * self.degree;
        let links = self.links.get(at..at + self.degree).unwrap_or_default();
        // What is behind the nodes, NONE too, is none: of a damaged file as well.
        links.iter().copied().filter(move |next| (*next as usize) < self.len())
    }

    /// The row of a node.
    pub(crate) fn row(self, node: u32) -> usize {
        self.rows.get(node as usize).map_or(usize::MAX, |row| *row as usize)
    }
}

/// A node that was met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Near {
    pub(crate) score: f32,
    pub(crate) node: u32,
}

impl Near {
    /// Whether it is nearer than another: of equal ones the first node.
    pub(crate) fn before(&self, other: &Self) -> bool {
        self.score > other.score || self.score == other.score && self.node < other.node
    }
}

/// A set of nodes, a bit each.
struct Seen(Vec<u64>);

impl Seen {
    /// Whether it was not in it.
    fn insert(&mut self, node: u32) -> bool {
        let bit = 1 << (node % 64);
        self.0.get_mut(node as usize / 64).is_some_and(|word| {
            let new = *word & bit == 0;
            *word |= bit;
            new
        })
    }
}

/// The nodes of the walk towards a query, in the order in which they were left: those that were among the `beam` nearest when it came to them. `met` is
/// told of every node that was scored.
pub(crate) fn walk(net: Net, rows: Rows, asked: &Asked, beam: usize, met: &mut dyn FnMut(Near)) -> Vec<Near> {
    let mut seen = Seen(vec![0; net.len().div_ceil(64)]);
    // The nearest, and whether each was left.
    let mut near: Vec<(Near, bool)> = Vec::with_capacity(beam + 1);
    let (mut left, mut first) = (Vec::with_capacity(beam + beam / 2), 0);
    let mut next: Vec<u32> = (0..net.len().min(STARTS) as u32).filter(|node| seen.insert(*node)).collect();
    loop {
        for (at, node) in next.iter().enumerate() {
            if let Some(ahead) = next.get(at + AHEAD) {
                rows.fetch(net.row(*ahead));
            }
            let found = Near { score: rows.score(asked, net.row(*node)), node: *node };
            met(found);
            if near.len() < beam || near.last().is_some_and(|(worst, _)| found.before(worst)) {
                let place = near.partition_point(|(other, _)| other.before(&found));
                near.insert(place, (found, false));
                near.truncate(beam);
                first = first.min(place);
            }
        }
        let Some(at) = near.iter().skip(first).position(|(_, left)| !left) else { return left };
        first += at;
        let Some((leaving, done)) = near.get_mut(first) else { return left };
        *done = true;
        left.push(*leaving);
        next.clear();
        next.extend(net.links(leaving.node).filter(|node| seen.insert(*node)));
        next.iter().take(AHEAD).for_each(|node| rows.fetch(net.row(*node)));
    }
}
