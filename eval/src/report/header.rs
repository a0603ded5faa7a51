//! The head of the page: what, when, with what, on what.

use maud::{Markup, html};

use super::data::{DataSet, Fact, Header};
use crate::svg;

pub(super) fn header(header: &Header) -> Markup {
    html! {
        header.top {
            p.eyebrow { "Unisono" @if let Some(date) = &header.date { span { (date) } } }
            h1 dir="auto" { (header.title) }
            @if let Some(subtitle) = &header.subtitle { p.subtitle dir="auto" { (subtitle) } }
            (facts(&header.facts))
            @if !header.data_sets.is_empty() {
                ul.data-sets { @for set in &header.data_sets { (data_set(set)) } }
            }
            @if let Some(command) = &header.command { pre { code { (command) } } }
        }
    }
}

/// Names and values in columns.
pub(super) fn facts(facts: &[Fact]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl.facts { @for fact in facts { div { dt { (fact.name) } dd dir="auto" { (fact.value) } } } }
        }
    }
}

fn data_set(set: &DataSet) -> Markup {
    html! {
        li {
            strong dir="auto" { (set.name) }
            @for (name, count) in &set.counts { span.count { b { (svg::thousands(*count)) } " " (name) } }
            @if !set.licence.is_empty() { span.licence { (set.licence) } }
            @if let Some(source) = &set.source { span.source { (source) } }
        }
    }
}
