//! Making a graph: Vamana (Subramanya et al., DiskANN, NeurIPS 2019), by batches that grow as in ParlayANN (Manohar et al., PPoPP 2024), so that all
//! cores work and the same vectors give the same graph on any of them.

use super::walk::{NONE, Near, Net, walk};
use crate::codes::Rows;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

/// Links of a node at most.
pub(crate) const DEGREE: usize = 32;
/// Links of a node while the graph is made: what comes back to it gathers, and is chosen from when there is no room, not for each that comes.
const ROOM: usize = 48;
/// Nearest that are kept in sight when a node is placed.
const BEAM: usize = 128;
/// A node is left out where another that is linked is nearer to it by this factor: above 1, long links stay.
const ALPHA: f32 = 1.2;
/// A batch is at most this share of all nodes: those of one batch do not see each other.
const SHARE: usize = 50;
/// And at least so many, where so many were placed.
const BATCH: usize = 512;

/// The nodes of a graph, by their rows, and their links, [`DEGREE`] each. `nodes` are the rows of `of` that are linked. `told` hears how many are, now and
/// then, and says whether to go on; nothing where it said stop.
pub(crate) fn make(
    mut nodes: Vec<u32>,
    of: Rows,
    told: &mut dyn FnMut(usize) -> bool,
) -> Option<(Vec<u32>, Vec<u32>)> {
    // Rows lie beside their likes: folders of one album. In any order a batch is of all kinds.
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for last in (1..nodes.len()).rev() {
        nodes.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    let maker = Maker { nodes: &nodes, of };
    let mut links = vec![NONE; nodes.len() * ROOM];
    let mut done = 1;
    while done < nodes.len() {
        let size = done.min((nodes.len() / SHARE).max(BATCH)).min(nodes.len() - done);
        let net = maker.net(&links, done);
        let placed: Vec<Vec<u32>> =
            (done..done + size).into_par_iter().map(|node| maker.place(node as u32, net)).collect();
        let mut back: Vec<(u32, u32)> = Vec::new();
        for (node, to) in (done..).zip(placed) {
            set(&mut links, node as u32, &to);
            back.extend(to.into_iter().map(|to| (to, node as u32)));
        }
        done += size;
        back.sort_unstable();
        let net = maker.net(&links, done);
        let changed: Vec<(u32, Vec<u32>)> =
            back.par_chunk_by(|a, b| a.0 == b.0).filter_map(|back| maker.lead_back(back, net)).collect();
        changed.into_iter().for_each(|(node, to)| set(&mut links, node, &to));
        if !told(done) {
            return None;
        }
    }
    let net = maker.net(&links, done);
    let last: Vec<Vec<u32>> =
        (0..nodes.len()).into_par_iter().map(|node| maker.few(node as u32, net)).collect();
    let links = last.into_iter().flat_map(|mut to| {
        to.resize(DEGREE, NONE);
        to
    });
    let links = links.collect();
    Some((nodes, links))
}

fn set(links: &mut [u32], node: u32, to: &[u32]) {
    let at = node as usize * ROOM;
    if let Some(links) = links.get_mut(at..at + ROOM) {
        links.fill(NONE);
        links.iter_mut().zip(to).for_each(|(link, to)| *link = *to);
    }
}

struct Maker<'a> {
    nodes: &'a [u32],
    of: Rows<'a>,
}

impl<'a> Maker<'a> {
    fn net<'b>(&'b self, links: &'b [u32], nodes: usize) -> Net<'b> {
        Net { rows: self.nodes.get(..nodes).unwrap_or_default(), links, degree: ROOM }
    }

    fn row(&self, node: u32) -> usize {
        self.nodes.get(node as usize).map_or(usize::MAX, |row| *row as usize)
    }

    fn ask(&self, node: u32) -> crate::codes::Asked {
        self.of.ask_row(self.row(node))
    }

    /// Where a new node leads.
    fn place(&self, node: u32, net: Net) -> Vec<u32> {
        prune(walk(net, self.of, &self.ask(node), BEAM, &mut |_| {}), self)
    }

    /// A node's links with those that come back to it: nothing where they are there.
    fn lead_back(&self, back: &[(u32, u32)], net: Net) -> Option<(u32, Vec<u32>)> {
        let node = back.first()?.0;
        let mut to: Vec<u32> = net.links(node).collect();
        to.extend(back.iter().map(|(_, from)| *from).filter(|from| !net.links(node).any(|to| to == *from)));
        if to.len() > ROOM {
            to = self.choose(node, to);
        }
        Some((node, to))
    }

    /// A node's links, [`DEGREE`] at most.
    fn few(&self, node: u32, net: Net) -> Vec<u32> {
        let to: Vec<u32> = net.links(node).collect();
        if to.len() > DEGREE { self.choose(node, to) } else { to }
    }

    fn choose(&self, node: u32, to: Vec<u32>) -> Vec<u32> {
        let asked = self.ask(node);
        let near = to.into_iter().map(|to| Near { score: self.of.score(&asked, self.row(to)), node: to });
        prune(near.collect(), self)
    }
}

/// Of nodes near another one, those that it is linked with: the nearest, then those that none of them is much nearer to.
fn prune(mut near: Vec<Near>, maker: &Maker) -> Vec<u32> {
    near.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node)));
    near.dedup_by_key(|near| near.node);
    let mut kept: Vec<(u32, crate::codes::Asked)> = Vec::with_capacity(DEGREE);
    for one in near {
        if kept.len() == DEGREE {
            break;
        }
        let row = maker.row(one.node);
        // Half the square of the distance of two vectors of length 1.
        let far = 1.0 - one.score;
        if kept.iter().all(|(_, other)| ALPHA * (1.0 - maker.of.score(other, row)) > far) {
            kept.push((one.node, maker.ask(one.node)));
        }
    }
    kept.into_iter().map(|(node, _)| node).collect()
}
