//! Drawings that ask for more than a drawing may cost: refused in one line, on a worker's stack, before anything is spent.

use super::*;
use std::path::Path;

fn drawn(text: &str) -> Result<RgbaImage> {
    render(Path::new("d.svg"), text.as_bytes(), &ImageOptions::default())
}

fn svg(inner: &str) -> String {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='64' height='64'>{inner}</svg>"
    )
}

/// Refused with these words, in one line.
fn refused(what: &str, inner: &str, words: &str) {
    let text = svg(inner);
    let worker = std::thread::Builder::new().stack_size(1 << 20);
    let found = worker.spawn(move || drawn(&text).map(drop)).unwrap().join().unwrap();
    let error = found.expect_err(what).to_string();
    assert!(error.starts_with("d.svg: expected a whole SVG drawing, found "), "{what}: {error}");
    assert!(error.contains(words) && error.lines().count() == 1, "{what}: {error}");
}

const MULTIPLY: &str = "multiply beyond what a drawing may cost";
const WORK: &str = "more work than a drawing may be";

/// `n` resources, each naming the next by `attribute`; the first is used.
fn chain(n: usize, tag: &str, attribute: &str) -> String {
    let one = |i: usize| {
        let next = if i + 1 < n { format!("{attribute}='url(#r{})'", i + 1) } else { String::new() };
        format!(
            "<{tag} id='r{i}' width='9' height='9' patternUnits='userSpaceOnUse'><rect width='9' height='9' {next}/></{tag}>"
        )
    };
    let all: String = (0..n).map(one).collect();
    format!("{all}<rect width='64' height='64' {attribute}='url(#r0)'/>")
}

/// `levels` of resources, each with ten shapes that name the next.
fn fan(levels: usize, tag: &str, attribute: &str) -> String {
    let one = |i: usize| {
        let shape = match i + 1 < levels {
            true => format!("<rect width='9' height='9' {attribute}='url(#r{})'/>", i + 1),
            false => "<rect width='9' height='9'/>".to_owned(),
        };
        format!("<{tag} id='r{i}' width='9' height='9'>{}</{tag}>", shape.repeat(10))
    };
    let all: String = (0..levels).map(one).collect();
    format!("{all}<rect width='64' height='64' {attribute}='url(#r0)'/>")
}

fn filtered(primitives: &str) -> String {
    format!(
        "<filter id='f' x='-2' y='-2' width='5' height='5'>{primitives}</filter><rect width='64' height='64' filter='url(#f)'/>"
    )
}

#[test]
fn chains_are_as_deep_as_nesting_may_be() {
    for (tag, attribute) in
        [("pattern", "fill"), ("pattern", "stroke"), ("mask", "mask"), ("clipPath", "clip-path")]
    {
        assert!(drawn(&svg(&chain(20, tag, attribute))).is_ok(), "{tag}");
        for n in [500, 3000, 20_000] {
            refused(tag, &chain(n, tag, attribute), "nested deeper than 256");
        }
    }
    let gradients: String =
        (0..3000).map(|i| format!("<linearGradient id='r{i}' xlink:href='#r{}'/>", i + 1)).collect();
    refused(
        "gradients",
        &format!("{gradients}<rect width='9' height='9' fill='url(#r0)'/>"),
        "nested deeper",
    );
    let uses: String = (0..3000).map(|i| format!("<g id='r{i}'><use href='#r{}'/></g>", i + 1)).collect();
    refused("uses", &uses, "nested deeper");
    let masks: String = (0..3000)
        .map(|i| format!("<mask id='r{i}' mask='url(#r{})'><rect width='9' height='9'/></mask>", i + 1))
        .collect();
    refused(
        "masks of masks",
        &format!("{masks}<rect width='9' height='9' mask='url(#r0)'/>"),
        "nested deeper",
    );
}

#[test]
fn fans_multiply() {
    for (tag, attribute) in
        [("pattern", "fill"), ("mask", "mask"), ("clipPath", "clip-path"), ("marker", "marker-start")]
    {
        assert!(drawn(&svg(&fan(2, tag, attribute))).is_ok(), "{tag}");
        refused(tag, &fan(9, tag, attribute), "references, with their repetitions");
    }
    let uses: String = (0..12)
        .map(|i| format!("<g id='r{i}'>{}</g>", format!("<use href='#r{}'/>", i + 1).repeat(10)))
        .collect();
    refused("uses", &uses, "references, with their repetitions");
    // Few references, each to much.
    let much = "<path d='M0 0h9v9'/>".repeat(20_000);
    let uses = format!("<g id='a'>{much}</g>{}", "<use href='#a'/>".repeat(100));
    refused("copies of much", &uses, MULTIPLY);
    // Painted by what is around a copy.
    let shapes = "<rect width='9' height='9'/>".repeat(1000);
    let tile = format!("<pattern id='p' width='9' height='9'>{shapes}</pattern>");
    refused(
        "a paint around copies",
        &format!("{tile}<g id='a'>{shapes}</g><use href='#a' fill='url(#p)'/>"),
        MULTIPLY,
    );
    // A mark at each of many corners.
    let marker = format!("<marker id='m'>{}</marker>", "<rect width='9' height='9'/>".repeat(200));
    let corners = format!("<path d='M0 0{}' marker-mid='url(#m)'/>", "h1".repeat(20_000));
    refused("marks", &format!("{marker}{corners}"), "");
    // The same by style sheets and style attributes.
    let sheet = "<style>.a rect { mask: url(#r0) }</style>";
    let masks = fan(9, "mask", "mask").replace("mask='url(", "style='mask: url(");
    refused(
        "by style",
        &format!("{sheet}{masks}<g class='a'><rect width='9' height='9'/></g>"),
        "references",
    );
}

#[test]
fn circles_are_refused() {
    let three = |tag: &str, attribute: &str| -> String {
        (0..3).map(|i| format!("<{tag} id='r{i}' width='9' height='9'><rect width='9' height='9' {attribute}='url(#r{})'/></{tag}>", (i + 1) % 3)).collect()
    };
    for (tag, attribute) in [("pattern", "fill"), ("mask", "mask"), ("clipPath", "clip-path")] {
        let circle = three(tag, attribute);
        refused(tag, &format!("{circle}<rect width='9' height='9' {attribute}='url(#r0)'/>"), "in a circle");
    }
    refused("use", "<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>", "in a circle");
    // A paint that the shapes in it inherit from around it.
    refused(
        "around",
        "<g fill='url(#p)'><pattern id='p' width='9' height='9'><rect width='9' height='9'/></pattern><rect width='9' height='9'/></g>",
        "in a circle",
    );
    // A link for readers is none.
    assert!(drawn(&svg("<g id='top'><a href='#top'><rect width='9' height='9'/></a></g>")).is_ok());
}

#[test]
fn filters_are_bounded_by_their_work() {
    refused("octaves", &filtered("<feTurbulence baseFrequency='.1' numOctaves='2000000000'/>"), WORK);
    refused("morphology", &filtered(&"<feMorphology radius='30'/>".repeat(3000)), "");
    refused("one large morphology", &filtered(&"<feMorphology radius='1000'/>".repeat(40)), WORK);
    refused("floods", &filtered(&"<feFlood/>".repeat(5000)), "");
    let merge = format!("<feMerge>{}</feMerge>", "<feMergeNode in='SourceGraphic'/>".repeat(5000));
    refused("merges", &filtered(&merge.repeat(10)), WORK);
    let order = 150;
    let matrix = "1 ".repeat(order * order);
    let convolve = format!("<feConvolveMatrix order='{order}' kernelMatrix='{matrix}'/>");
    refused("convolution", &filtered(&convolve), WORK);
    refused(
        "functions",
        &format!("<rect width='64' height='64' filter='{}'/>", "blur(3) ".repeat(20_000)),
        WORK,
    );
    let image = "<filter id='f'><feImage href='#a'/></filter>";
    let many = format!("<g id='a'>{}</g>", "<rect width='64' height='64' opacity='.5'/>".repeat(3000));
    refused(
        "images of elements",
        &format!("{image}{many}{}", "<rect width='64' height='64' filter='url(#f)'/>".repeat(3000)),
        "",
    );
    // Layers in layers, each five times the canvas.
    let layers = "<g filter='url(#f)'>".repeat(200);
    refused(
        "layers",
        &format!(
            "<filter id='f' x='-9' y='-9' width='20' height='20'><feFlood/><feOffset dx='1'/></filter>{layers}<rect width='64' height='64'/>{}",
            "</g>".repeat(200)
        ),
        "",
    );
    for honest in [
        "<feGaussianBlur stdDeviation='4'/>",
        "<feTurbulence baseFrequency='.1' numOctaves='5'/>",
        "<feMorphology radius='2'/><feOffset dx='2'/><feBlend in2='SourceGraphic'/>",
    ] {
        assert!(drawn(&svg(&filtered(honest))).is_ok(), "{honest}");
    }
}

#[test]
fn strokes_paths_and_tiles_are_bounded() {
    let dashed = "<path d='M0 0H1000000' stroke='red' stroke-width='1' stroke-dasharray='.001 .001'/>";
    refused("dashes", &dashed.repeat(100), WORK);
    assert!(drawn(&svg("<path d='M0 9H64' stroke='red' stroke-dasharray='2 1'/>")).is_ok());
    let zigzag = format!("<path d='M0 0{}' stroke='red'/>", "L64 64L0 0".repeat(200_000));
    refused(
        "a long path, many times",
        &format!("<g id='a'>{zigzag}</g>{}", "<use href='#a'/>".repeat(30)),
        "",
    );
    let tile = "<pattern id='p' width='1' height='1' patternUnits='userSpaceOnUse' patternTransform='scale(60000)'><rect width='1' height='1'/></pattern><rect width='64' height='64' fill='url(#p)'/>";
    refused("a tile", tile, "");
    let layer = "<g opacity='.5'>".repeat(250);
    assert!(drawn(&svg(&format!("{layer}<rect width='64' height='64'/>{}", "</g>".repeat(250)))).is_ok());
}

#[test]
fn texts_and_styles_are_bounded() {
    let rules: String = (0..20_000).map(|i| format!(".c{i} {{ fill: red }}")).collect();
    refused("rules", &format!("<style>{rules}</style>{}", "<g/>".repeat(50_000)), "style sheets");
    let words = "* ".repeat(30);
    let deep = format!("{}{}", "<g>".repeat(200), "</g>".repeat(200));
    refused("selectors", &format!("<style>{words} rect {{ fill: red }}</style>{deep}"), "style sheets");
    let inherits = "<g clip-path='inherit' mask='inherit' filter='inherit'>";
    assert!(
        drawn(&svg(&format!("{}<rect width='9' height='9'/>{}", inherits.repeat(200), "</g>".repeat(200))))
            .is_ok()
    );
    // What comes from elsewhere is not drawn, however it is packed.
    let nested =
        "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>";
    let image = format!("<image width='9' height='9' href=\"{nested}\"/>")
        .replace("<svg", "&lt;svg")
        .replace("<rect", "&lt;rect")
        .replace("</svg", "&lt;/svg");
    assert!(drawn(&svg(&image)).unwrap().pixels().all(|p| p[3] == 0));
}

#[test]
fn what_drawings_hold_is_drawn() {
    let inner = "<style>.s { fill: url(#g) } .s > rect { stroke: blue }</style>
        <defs><linearGradient id='g'><stop offset='0' stop-color='red'/><stop offset='1' stop-color='blue'/></linearGradient>
        <pattern id='p' width='8' height='8' patternUnits='userSpaceOnUse'><circle r='3' cx='4' cy='4' fill='green'/></pattern>
        <mask id='m'><rect width='64' height='64' fill='white'/></mask><clipPath id='c'><circle cx='32' cy='32' r='30'/></clipPath>
        <marker id='k' markerWidth='4' markerHeight='4'><rect width='4' height='4'/></marker><symbol id='s'><rect width='9' height='9'/></symbol></defs>
        <g class='s' clip-path='url(#c)' mask='url(#m)'><rect width='40' height='40'/><use href='#s' x='9'/></g>
        <path d='M5 60L60 60L60 5' fill='none' stroke='url(#p)' stroke-width='6' marker-mid='url(#k)'/>";
    let image = drawn(&svg(inner)).unwrap();
    assert!(image.pixels().filter(|p| p[3] > 0).count() > 10_000);
}
