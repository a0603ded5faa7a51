//! The filters of a decoder with several outputs.

use super::{Grid, Layout, Time};

/// One output: what is done to the frames, and what comes of it.
pub(super) struct Branch {
    /// Only the first frame and those at least so many seconds after the one before.
    pub(super) every: Option<f64>,
    /// The size that frames are scaled to, and how.
    pub(super) scale: Option<((u32, u32), &'static str)>,
    /// Only these pixels.
    pub(super) grid: Option<Grid>,
    pub(super) layout: Layout,
    pub(super) most: u64,
}

impl Branch {
    /// Each frame comes in its own size, not in that of the first: images that are looked at must not be warped.
    pub(super) fn own_size(&self) -> bool {
        self.scale.is_none() && self.layout == Layout::Rgb
    }

    /// Names of its ends in the graph, the branch's number being `i`.
    pub(super) fn ends(&self, i: usize) -> Vec<String> {
        let parts = self.grid.map_or(1, |grid| grid.parts().count());
        (0..parts).map(|part| if part == 0 { format!("o{i}") } else { format!("o{i}x{part}") }).collect()
    }
}

/// `showinfo` stands where a frame has its own size and form still: what is told of it is the file's.
pub(super) fn graph(branches: &[Branch], only: Option<&[Time]>, layout: Layout, tag: &str) -> String {
    let mut graph = "[0:V:0]".to_owned();
    if let Some(times) = only {
        let equal: Vec<String> = times.iter().map(|t| format!("eq(pts,{})", t.pts)).collect();
        graph += &format!("select='{}',", equal.join("+"));
    }
    if let Layout::Yuv420 { .. } = layout {
        // One form for all branches: where FFmpeg turns frames first, it would take the form that most of them end in.
        graph += "format=yuv420p|yuvj420p,";
    }
    graph += &format!("showinfo@{tag}0=checksum=0,split={}", branches.len());
    graph.extend((0..branches.len()).map(|i| format!("[s{i}]")));
    for (i, branch) in branches.iter().enumerate() {
        if let Some(grid) = branch.grid {
            graph += &format!(";{}", grid.filters(&format!("s{i}"), &format!("o{i}")));
            continue;
        }
        let mut filters = Vec::new();
        if let Some(seconds) = branch.every {
            // Where the clock has gone back, the next that is so much later may never come. What is let pass is told by its number.
            let due = format!("isnan(prev_selected_t)+gte(t-prev_selected_t,{seconds})+lt(t,prev_t)");
            filters.push(format!("select='if({due},print(n)+1,0)'"));
            filters.push(format!("showinfo@{tag}{}=checksum=0", i + 1));
        }
        if let Some(((width, height), flags)) = branch.scale {
            filters.push(format!("scale={width}:{height}:flags={flags}"));
        }
        filters.push(match branch.layout {
            Layout::Yuv420 { .. } | Layout::Picked { .. } => "null".to_owned(),
            Layout::Bgr => "format=bgr24".to_owned(),
            Layout::Rgb => "format=rgb24".to_owned(),
        });
        graph += &format!(";[s{i}]{}[o{i}]", filters.join(","));
    }
    graph
}
