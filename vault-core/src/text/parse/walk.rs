//! A walk through a tree in an order in which the nodes below each table are one range. A table can
//! therefore be read without a look at the rest of the file.

use crate::text::parse::tree::{HIDDEN, ROOT, Tree};

pub(super) struct Walk {
    /// Each node that is not hidden, directly followed by the nodes below it.
    order: Vec<u32>,
    /// The position of each node in `order`.
    positions: Vec<u32>,
}

impl Walk {
    pub(super) fn of(tree: &Tree) -> Walk {
        // A node is always newer than its parent, so each pass needs no recursion.
        let nodes = || (0..tree.len() as u32).filter(|node| !tree.is(*node, HIDDEN));
        let mut sizes = vec![0; tree.len()];
        for node in nodes().rev() {
            sizes[node as usize] += 1;
            if node != ROOT {
                sizes[tree.parent(node) as usize] += sizes[node as usize];
            }
        }
        let mut order = vec![ROOT; sizes.first().map_or(0, |size| *size as usize)];
        // For each node, the next free position below it.
        let mut free = vec![0; tree.len()];
        let mut positions = sizes;
        for node in nodes() {
            let position = match node {
                ROOT => 0,
                _ => {
                    let free = &mut free[tree.parent(node) as usize];
                    std::mem::replace(free, *free + positions[node as usize])
                }
            };
            free[node as usize] = position + 1;
            positions[node as usize] = position;
            order[position as usize] = node;
        }
        Walk { order, positions }
    }

    /// The nodes below `table`.
    pub(super) fn below(&self, tree: &Tree, table: u32) -> impl Iterator<Item = u32> {
        let first = self.positions.get(table as usize).map_or(0, |position| *position as usize + 1);
        let inside = move |node: &u32| table == ROOT || tree.up(*node).any(|above| above == table);
        self.order.iter().skip(first).copied().take_while(inside)
    }
}
