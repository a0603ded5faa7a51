//! The look of Unisono's pages. A page is one file that opens from disk: it loads nothing and runs nothing.
//!
//! [`Page`] is the shell (style sheet for light, dark and paper, and a policy that forbids scripts and requests), [`banner`], [`Section`],
//! [`facts`] and [`Table`] are what stands in it, [`chart`] draws, [`Media`] carries images and audio files, [`number`] writes numbers.
//!
//! Strangers' text (captions, file names) is safe by construction: [`maud`] escapes whatever is put into its markup, and [`Page::render`]
//! shows the characters that would act unseen, once, for the whole page.
//!
//! ```
//! use maud::html;
//! use unisono_page::{Page, Section, banner, chart::{LineChart, Series}};
//!
//! let loss = Series::new("loss", vec![(0.0, 4.8), (100.0, 2.1)]);
//! let chart = LineChart { title: "Loss".into(), series: vec![loss], ..LineChart::default() };
//! let training = Section::new("training", "Training", "", chart.render());
//! let body = html! { (banner(None, "<My run>", &html! {})) main { (training.markup) } };
//! let page = Page { title: "<My run>", style: "", body: &body }.render();
//! assert!(page.contains("&lt;My run&gt;"));
//! ```

mod banner;
pub mod chart;
mod document;
mod media;
pub mod number;
mod section;
mod table;

pub use banner::{Fact, banner, facts};
pub use document::Page;
pub use media::{Media, MediaKind, show};
pub use section::{Section, contents};
pub use table::{Column, Table};
