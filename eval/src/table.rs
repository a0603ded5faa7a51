//! Plain-text tables for terminals: columns aligned by display width, whatever the script.

use unicode_width::UnicodeWidthStr;

use crate::metrics::RetrievalMetrics;

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table under construction.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            columns: columns.iter().map(|&(name, align)| (name.to_owned(), align)).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty, surplus ones are dropped. Control characters are shown as spaces: a caption
    /// must not move the cursor.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        let mut cells: Vec<String> = cells
            .into_iter()
            .map(|cell| cell.into().replace(char::is_control, " ").trim_end().to_owned())
            .collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
        self
    }

    /// The whole table, every line ended by a newline.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| {
                let cells = self.rows.iter().map(|row| row[c].width());
                cells.chain([self.columns[c].0.width()]).max().unwrap_or(0)
            })
            .collect();
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        let mut out = String::new();
        for row in [&heading, &rule].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, &width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                let space = " ".repeat(width.saturating_sub(cell.width()));
                match align {
                    Align::Left => line.extend([cell, space.as_str()]),
                    Align::Right => line.extend([space.as_str(), cell]),
                }
                line.push_str("  ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// The recall table: one row a protocol, recalls in per cent as `27.1 [24.5, 29.8]`, chance beside them.
pub fn recalls(rows: &[(&str, &RetrievalMetrics)]) -> String {
    let mut table = Table::new(&[
        ("protocol", Align::Left),
        ("from → to", Align::Left),
        ("queries", Align::Right),
        ("gallery", Align::Right),
        ("R@1", Align::Right),
        ("R@5", Align::Right),
        ("R@10", Align::Right),
        ("chance R@1/5/10", Align::Right),
        ("median rank", Align::Right),
        ("MRR", Align::Right),
    ]);
    for (protocol, m) in rows {
        table.row([
            (*protocol).to_owned(),
            format!("{} → {}", m.from, m.to),
            m.queries.to_string(),
            format!("{:.0}", m.gallery),
            m.r1.percent(),
            m.r5.percent(),
            m.r10.percent(),
            [m.chance_r1, m.chance_r5, m.chance_r10].map(percent).join(" / "),
            m.median_rank.to_string(),
            format!("{:.3} [{:.3}, {:.3}]", m.mrr.value, m.mrr.low, m.mrr.high),
        ]);
    }
    table.render()
}

/// A fraction in per cent, with as many digits as tell it from nothing: `27.1`, `0.53`, `0.08`, `0.002`; a dash for
/// what is no number.
pub fn percent(fraction: f64) -> String {
    let value = 100.0 * fraction;
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v == 0.0 || v >= 0.995 => format!("{v:.1}"),
        v if v >= 0.005 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}
