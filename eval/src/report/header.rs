//! The head of the page: what, when, with what, on what.

use maud::{Markup, html};
use unisono_page::{banner, facts, number::thousands};

use super::data::{DataSet, Header};

pub(super) fn header(header: &Header) -> Markup {
    let inside = html! {
        @if let Some(subtitle) = &header.subtitle { p.subtitle dir="auto" { (subtitle) } }
        (facts(&header.facts))
        @if !header.data_sets.is_empty() {
            ul.data-sets { @for set in &header.data_sets { (data_set(set)) } }
        }
        @if let Some(command) = &header.command { pre { code { (command) } } }
    };
    banner(header.date.as_deref(), &header.title, &inside)
}

fn data_set(set: &DataSet) -> Markup {
    html! {
        li {
            strong dir="auto" { (set.name) }
            @for (name, count) in &set.counts { span.count { b { (thousands(*count)) } " " (name) } }
            @if !set.licence.is_empty() { span.licence { (set.licence) } }
            @if let Some(source) = &set.source { span.source { (source) } }
        }
    }
}
