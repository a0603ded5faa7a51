//! `/v1/why`: which parts of an image make it a hit. Each cell of a grid is covered in turn, with the image's mean colour, and what the cosine with the query loses is what
//! the cell was worth (occlusion: Zeiler & Fergus 2014). It asks nothing of a model but that it embeds images.

use super::search;
use crate::app::App;
use crate::asked::Part;
use crate::form::Form;
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use crate::thumbnail::jpeg;
use axum::Json;
use axum::extract::{Request, State};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{Rgb, RgbImage};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_jobs::similarity;
use unisono_processors::Prepared;

/// Cells along an edge.
const CELLS: u32 = 7;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The hit.
    row: usize,
}

pub(crate) async fn why(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let mut form = Form::read(request, app.bounds()).await?;
    let query =
        form.take("query").ok_or_else(|| Refusal::field("query", "expected what was searched with"))?;
    let parts = Part::parse_all(&query, "query", 1.0)?;
    let Wanted { row } = form.rest()?;
    let current = app.current()?;
    let item =
        current.index.item(row).ok_or_else(|| Refusal::missing(format!("the index has no row {row}")))?;
    if item.modality != Modality::Image || item.video {
        return Err(Refusal::field("row", "this row is no image: it has no parts to look at"));
    }
    let covered = (CELLS * CELLS) as usize;
    let _inside = app.admit(covered + parts.len() + 1)?;
    let (query, _) = search::vector(&app, &current, parts).await?;
    let given = vec![Given::Row(row)];
    let prepared = app.workers.prepare(&current.query, given, "row", Some(&current.index)).await?;
    let Some(Prepared::Image(seen)) = prepared.into_iter().next() else {
        return Err(Refusal::broken("the image was not prepared as one"));
    };
    let work = move || {
        let mut all = vec![Prepared::Image(seen.clone())];
        all.extend(
            (0..CELLS * CELLS).map(|cell| Prepared::Image(without(&seen, cell % CELLS, cell / CELLS))),
        );
        Ok((all, jpeg(&seen)?))
    };
    let (all, picture) = app.workers.run(work).await?;
    let (model, dims) = (&current.query, current.index.dims());
    let rows = model.engine.embed(all, (dims != model.dims).then_some(dims)).await?;
    let scores: Vec<f32> = rows.iter().map(|vector| similarity(&query, vector)).collect();
    let Some((whole, covered)) = scores.split_first() else { return Err(Refusal::broken("no vectors")) };
    let worth: Vec<f32> = covered.iter().map(|score| whole - score).collect();
    Ok(Json(json!({
        "object": "why", "score": whole, "cells": CELLS, "worth": worth,
        "image": format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(picture)),
    })))
}

/// The image with one cell of the grid in its mean colour.
fn without(image: &RgbImage, column: u32, row: u32) -> RgbImage {
    let count = u64::from(image.width()) * u64::from(image.height());
    let mut sums = [0u64; 3];
    for pixel in image.pixels() {
        sums.iter_mut().zip(pixel.0).for_each(|(sum, value)| *sum += u64::from(value));
    }
    let mean = Rgb(sums.map(|sum| (sum / count.max(1)) as u8));
    let edge = |at: u32, long: u32| (u64::from(at) * u64::from(long) / u64::from(CELLS)) as u32;
    let (left, right) = (edge(column, image.width()), edge(column + 1, image.width()));
    let (top, bottom) = (edge(row, image.height()), edge(row + 1, image.height()));
    let mut covered = image.clone();
    for (x, y, pixel) in covered.enumerate_pixels_mut() {
        if (left..right).contains(&x) && (top..bottom).contains(&y) {
            *pixel = mean;
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cover_the_whole_image_once() {
        let image = RgbImage::from_fn(30, 16, |x, y| Rgb([x as u8, y as u8, 200]));
        let mean = Rgb([14, 7, 200]);
        let mut times = vec![0; 30 * 16];
        for cell in 0..CELLS * CELLS {
            let covered = without(&image, cell % CELLS, cell / CELLS);
            for (at, (a, b)) in image.pixels().zip(covered.pixels()).enumerate() {
                assert!(a == b || *b == mean);
                times[at] += usize::from(a != b);
            }
        }
        // One pixel is of the mean colour itself.
        assert_eq!(times.iter().sum::<usize>(), 30 * 16 - 1);
        assert!(times.iter().all(|n| *n <= 1));
    }
}
