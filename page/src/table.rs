//! Tables.

use maud::{Markup, html};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    name: &'static str,
    class: &'static str,
}

impl Column {
    /// Words, from the left.
    pub const fn text(name: &'static str) -> Self {
        Self { name, class: "" }
    }

    /// Numbers, from the right.
    pub const fn number(name: &'static str) -> Self {
        Self { name, class: "number" }
    }

    /// Cells with a class of the page's own.
    pub const fn classed(name: &'static str, class: &'static str) -> Self {
        Self { name, class }
    }
}

/// A table under construction. Each row's first cell is its heading.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    groups: Vec<(Option<String>, Vec<Vec<Markup>>)>,
    class: &'static str,
}

impl Table {
    /// A table with these columns, that scrolls sideways where the window is too narrow.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), groups: Vec::new(), class: "" }
    }

    /// For long tables: it scrolls by itself, its head stays.
    pub fn tall(self) -> Self {
        Self { class: "tall", ..self }
    }

    /// For many wide columns: on a phone each row becomes a block whose cells name themselves.
    pub fn stacked(self) -> Self {
        Self { class: "stacked", ..self }
    }

    /// Begins a group of rows under a name of its own.
    pub fn group(&mut self, name: &str) -> &mut Self {
        self.groups.push((Some(name.to_owned()), Vec::new()));
        self
    }

    /// Adds a row; missing cells are empty, surplus ones are dropped.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Markup>) -> &mut Self {
        let mut cells: Vec<Markup> = cells.into_iter().take(self.columns.len()).collect();
        cells.resize_with(self.columns.len(), || html! {});
        match self.groups.last_mut() {
            Some((_, rows)) => rows.push(cells),
            None => self.groups.push((None, vec![cells])),
        }
        self
    }

    /// The whole table.
    pub fn render(&self) -> Markup {
        let class = |column: &Column| Some(column.class).filter(|class| !class.is_empty());
        // What scrolls by itself is reached by the keyboard, too.
        let reached = (self.class == "tall").then_some("0");
        html! {
            div class={ "scroll " (self.class) } tabindex=[reached] {
                table {
                    thead { tr { @for column in &self.columns { th class=[class(column)] scope="col" { (column.name) } } } }
                    @for (name, rows) in &self.groups {
                        tbody {
                            @if let Some(name) = name {
                                tr.group { th colspan=(self.columns.len()) scope="rowgroup" dir="auto" { (name) } }
                            }
                            @for row in rows {
                                tr {
                                    @for (index, (column, cell)) in self.columns.iter().zip(row).enumerate() {
                                        @if index == 0 {
                                            th class=[class(column)] scope="row" { (cell) }
                                        } @else {
                                            td class=[class(column)] data-label=(column.name) { (cell) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_wide_as_the_head() {
        let mut table = Table::new(&[Column::text("A"), Column::number("B")]).tall();
        table.row([html! { "1" }]).group("<g>").row([html! { "x" }, html! { "2" }, html! { "3" }]);
        let drawn = table.render().into_string();
        assert_eq!(drawn.matches("<th").count() - drawn.matches("<thead").count(), 5, "{drawn}");
        assert_eq!(drawn.matches("<td").count(), 2, "{drawn}");
        assert!(
            drawn.contains("<th colspan=\"2\" scope=\"rowgroup\" dir=\"auto\">&lt;g&gt;</th>"),
            "{drawn}"
        );
        assert!(
            drawn.contains("<td class=\"number\" data-label=\"B\">2</td>") && !drawn.contains(">3<"),
            "{drawn}"
        );
    }
}
