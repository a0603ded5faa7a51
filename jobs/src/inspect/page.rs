//! The page of an inspection: records to look at and to listen to, how their sizes are spread, and what is wrong.

use super::cards::{self, ALL, Card, LARGEST};
use super::found::{Counts, Inspection};
use super::options::PageOptions;
use super::spread::Spread;
use maud::{Markup, html};
use unisono_datasets::Source;
use unisono_files::line;
use unisono_page::chart::{Axis, Bullet, Histogram, Scale};
use unisono_page::number::{counted, duration, plain, thousands};
use unisono_page::{Column, Fact, Page, Section, Table, banner, contents, facts};

const STYLE: &str = include_str!("style.css");
/// Lines of lists, and characters of one.
const LISTED: usize = 100;
const CHARACTERS: usize = 400;

/// The whole page, self-contained: records drawn from the source, and what was `found` in it. Images are carried as thumbnails, audio files and videos
/// of up to 1 MiB as they are, of larger ones a link to the file.
pub fn page(source: &dyn Source, name: &str, found: &Inspection, options: &PageOptions) -> String {
    let cards = cards::read(source, options);
    let sections =
        [records(&cards, options.seed), splits(found), sizes(found), names(found), Some(problems(found))];
    let body = html! {
        (banner(Some("Data"), name, &facts(&about(found))))
        (contents(&sections))
        main { @for section in sections.iter().flatten() { (section.markup) } }
    };
    Page { title: name, style: STYLE, body: &body }.render()
}

fn about(found: &Inspection) -> Vec<Fact> {
    let total = &found.total;
    let count = |n: usize| format!("{}{}", if found.at_most { "at most " } else { "" }, thousands(n as u64));
    let mut all = vec![Fact::new("records", thousands(total.records as u64))];
    if total.text > 0 {
        all.push(Fact::new("texts", thousands(total.text as u64)));
    }
    let counts = [("images", total.image), ("audio files", total.audio), ("videos", total.video)];
    all.extend(counts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| Fact::new(*name, count(*n))));
    if found.labels.records > 0 {
        all.push(Fact::new("labels", thousands(found.labels.distinct as u64)));
    }
    let languages = found.languages.keys().filter(|name| !name.is_empty()).count();
    if languages > 0 {
        all.push(Fact::new("languages", languages));
    }
    for (name, of, n) in
        [("audio lasts", &found.audio, total.audio), ("videos last", &found.video, total.video)]
    {
        if of.seconds.count > 0 {
            // Of a sample the whole is reckoned.
            let (about, n) = if found.measured_every > 1 { ("about ", n) } else { ("", of.seconds.count) };
            all.push(Fact::new(name, format!("{about}{}", duration(of.seconds.mean * n as f64))));
        }
    }
    all.push(Fact::new("problems", thousands(found.problem_count as u64)));
    if !found.crossing_groups.is_empty() {
        all.push(Fact::new("groups across splits", thousands(found.crossing_groups.len() as u64)));
    }
    all
}

fn records(cards: &[Card], seed: u64) -> Option<Section> {
    if cards.is_empty() {
        return None;
    }
    let lead = format!(
        "{}, drawn by lot (seed {seed}). Audio files and videos of up to {} MiB are in this page, of all of them up to {} MiB; others are links to their files.",
        counted(cards.len(), "record", "records"),
        LARGEST >> 20,
        ALL >> 20
    );
    let body = html! { div.cards.records { @for card in cards { (card.render()) } } };
    Some(Section::new("records", "Records", &lead, body))
}

fn splits(found: &Inspection) -> Option<Section> {
    let columns = ["Records", "Labels", "Texts", "Images", "Audio", "Videos"];
    let all: Vec<Column> =
        std::iter::once(Column::text("Split")).chain(columns.map(Column::number)).collect();
    let mut table = Table::new(&all).stacked();
    let mut row = |name: &str, c: &Counts| {
        let counts = [c.records, c.labels, c.text, c.image, c.audio, c.video];
        let counts = counts.into_iter().map(|n| html! { (thousands(n as u64)) });
        table.row(std::iter::once(html! { bdi { (named(name)) } }).chain(counts));
    };
    found.splits.iter().for_each(|(name, counts)| row(name, counts));
    if found.splits.len() > 1 {
        row("all", &found.total);
    }
    let body = html! {
        (table.render())
        div.lists { (shares("Modalities", found.modalities.iter(), found.total.records)) }
    };
    (found.total.records > 0).then(|| Section::new("splits", "Splits and modalities", "", body))
}

fn sizes(found: &Inspection) -> Option<Section> {
    let chart = |title: &str, unit: &str, label: &str, spread: &Spread| {
        let scale = if spread.is_far() { Scale::Log } else { Scale::Linear };
        let bars = spread.bars.iter().map(|bar| (bar.from, bar.to, bar.count as f64)).collect();
        let x = Axis { label: label.to_owned(), scale, ..Axis::default() };
        let write = |n: f64| x.write(n);
        let summary = match spread.min == spread.max {
            true => format!("all of them {}", write(spread.min)),
            false => format!(
                "{} to {}; half of them at most {}, 95 % at most {}",
                write(spread.min),
                write(spread.max),
                write(spread.median),
                write(spread.p95)
            ),
        };
        // Durations are not.
        let whole = label != "seconds";
        let unit = format!("{} {unit}", thousands(spread.count as u64));
        (spread.count > 0)
            .then(|| Histogram { title: title.to_owned(), unit, summary, x, whole, bars }.render())
    };
    let captions = found.captions.words.count > 0;
    let charts: Vec<Markup> = [
        chart("Words of a caption", "captions", "words", &found.captions.words),
        chart("Characters of a caption", "captions", "characters", &found.captions.characters),
        chart("Captions of a record", "records", "captions", &found.captions.per_record).filter(|_| captions),
        chart("Width of images", "images", "pixels", &found.images.width),
        chart("Height of images", "images", "pixels", &found.images.height),
        chart("Duration of audio", "files", "seconds", &found.audio.seconds),
        chart("Duration of videos", "videos and parts", "seconds", &found.video.seconds),
    ]
    .into_iter()
    .flatten()
    .collect();
    let lead = match found.measured_every {
        1 => String::new(),
        n => format!(
            "Of images, audio files and videos by the heads of {} files, drawn from one record in {n}.",
            thousands(found.measured_files as u64)
        ),
    };
    let body = html! {
        div.charts { @for chart in &charts { (chart) } }
        @for (name, n) in [("images", found.images.unknown), ("audio files", found.audio.unknown), ("videos", found.video.unknown)] {
            @if n > 0 { p.note { (thousands(n as u64)) " " (name) " whose heads do not say it are not counted." } }
        }
    };
    (!charts.is_empty()).then(|| Section::new("sizes", "Sizes", &lead, body))
}

/// Names with the records that they have, the most frequent first.
fn shares<'a>(
    head: &'static str,
    names: impl Iterator<Item = (&'a String, &'a usize)>,
    records: usize,
) -> Markup {
    let mut names: Vec<(&String, usize)> = names.map(|(name, n)| (name, *n)).collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let columns = [Column::text(head), Column::classed("Share", "share"), Column::number("Records")];
    let table = Table::new(&columns);
    let mut table = if names.len() > 12 { table.tall() } else { table };
    for (name, n) in names.iter().take(LISTED) {
        let share = *n as f64 / records.max(1) as f64;
        table.row([
            html! { bdi { (line(named(name), CHARACTERS)) } },
            Bullet::of(share).render(),
            html! { (thousands(*n as u64)) small { (percent(share)) } },
        ]);
    }
    html! {
        @if !names.is_empty() {
            div {
                (table.render())
                @if names.len() > LISTED { p.note { "and " (thousands((names.len() - LISTED) as u64)) " more" } }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{} %", plain((share * 1000.0).round() / 10.0))
}

/// Languages and labels, each with its records.
fn names(found: &Inspection) -> Option<Section> {
    let languages = found.languages.keys().any(|name| !name.is_empty());
    let labels = &found.labels;
    let counted = |names: &'_ [(String, usize)], head: &'static str| {
        let names: Vec<(&String, &usize)> = names.iter().map(|(name, n)| (name, n)).collect();
        shares(head, names.into_iter(), found.total.records)
    };
    let body = html! {
        div.lists {
            @if languages { (shares("Language", found.languages.iter(), found.total.records)) }
            @if let Some(detected) = &found.languages_detected { (shares("Language of captions, where none is named", detected.iter(), detected.values().sum())) }
            (counted(&labels.most_frequent, "Most frequent labels"))
            (counted(&labels.least_frequent, "Least frequent labels"))
        }
        @if !labels.complete && labels.records > 0 { p.note { "There are more labels than are counted each." } }
    };
    (languages || found.languages_detected.is_some() || labels.records > 0)
        .then(|| Section::new("names", "Languages and labels", "", body))
}

fn problems(found: &Inspection) -> Section {
    let listed = LISTED.min(found.problems.len());
    let crossing = &found.crossing_groups;
    let mut groups = Table::new(&[Column::text("Group"), Column::text("In"), Column::text("And in")]);
    for (group, a, b) in crossing.iter().take(LISTED) {
        groups.row([group, a, b].map(|name| html! { bdi { (line(name, CHARACTERS)) } }));
    }
    let lead = match found.problem_count {
        0 => "Every file is there and none is empty. Nothing was decoded: `data check` does that.",
        _ => "Records that cannot be read, and files that are missing or empty.",
    };
    let more = |n: usize, shown: usize| html! { @if n > shown { p.note { "and " (thousands((n - shown) as u64)) " more" } } };
    let body = html! {
        @if found.problem_count > 0 {
            ul.problems {
                @for problem in &found.problems[..listed] {
                    li { code dir="auto" { (line(&problem.id, CHARACTERS)) } " " (line(&problem.reason, CHARACTERS)) }
                }
            }
            (more(found.problem_count, listed))
        }
        @if !found.misnamed.is_empty() {
            h3 { "Files that are something else than their names say" }
            ul.problems {
                @for file in found.misnamed.iter().take(LISTED) { li { code dir="auto" { (line(&file.path, CHARACTERS)) } " is " (file.content) } }
            }
            (more(found.misnamed.len(), LISTED))
        }
        h3 { "Near-copies across splits" }
        @if crossing.is_empty() {
            p.note { "No group stands in two splits. Whether files of different groups are alike is found by `data check`." }
        } @else {
            p.note { (counted(crossing.len(), "group stands", "groups stand")) " in more than one split: what was learned would be tested." }
            (groups.render())
            (more(crossing.len(), LISTED))
        }
    };
    Section::new("problems", "Problems", lead, body)
}

fn named(name: &str) -> &str {
    if name.is_empty() { "(none)" } else { name }
}
