//! Regression trees of least squares, grown level by level over columns that are sorted once for all trees.
//!
//! ```text
//! gain of a split = w_l w_r / (w_l + w_r) (mean_l − mean_r)²          Friedman 2001, Eq. 35
//! ```
//!
//! which is also by how much it lowers the sum of squared deviations: what scikit-learn's `friedman_mse` chooses by and what its
//! importances add up. A node is split as long as it is not at the full depth, has two rows and its targets differ; at the best threshold,
//! halfway between two neighbouring values, whatever the gain. Among splits of equal gain the first wins, and features are gone through
//! in an order drawn anew for each level, so that two codes that say the same share the importance.

use fastrand::Rng;

/// Features of all rows, row by row and sorted.
#[derive(Debug, Clone)]
pub struct Columns {
    features: Vec<f64>,
    width: usize,
    sorted: Vec<Sorted>,
}

/// One feature of all rows.
#[derive(Debug, Clone)]
struct Sorted {
    /// Rows, lowest value first.
    rows: Vec<u32>,
    /// For each of them, the place of its value among the distinct ones.
    ranks: Vec<u32>,
    /// Distinct values, ascending.
    values: Vec<f64>,
}

impl Columns {
    /// Of rows of `width` features each.
    pub fn new(features: &[f64], width: usize) -> Self {
        let sorted = |feature: usize| {
            let value = |row: u32| features[row as usize * width + feature];
            let mut rows: Vec<u32> = (0..(features.len() / width) as u32).collect();
            rows.sort_by(|&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
            // −0 is 0, and what is not a number is no further than the last number.
            let mut values: Vec<f64> = Vec::new();
            let rank_of = |&row: &u32| {
                if values.last().is_none_or(|last| value(row) > *last) {
                    values.push(value(row));
                }
                values.len() as u32 - 1
            };
            Sorted { ranks: rows.iter().map(rank_of).collect(), rows, values }
        };
        Self { features: features.to_vec(), width, sorted: (0..width).map(sorted).collect() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.features.len() / self.width
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.width
    }

    fn value(&self, row: usize, feature: usize) -> f64 {
        self.features[row * self.width + feature]
    }
}

/// Rows with a feature up to the threshold go left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// The feature.
    pub feature: usize,
    /// The threshold.
    pub threshold: f64,
}

/// A binary tree. Nodes are numbered from the root, 0; the children of node i are 2i + 1 and 2i + 2.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Splits of the nodes above the full depth; `None` for leaves, and below them.
    splits: Vec<Option<Split>>,
    /// Values of the leaves, at their numbers.
    pub values: Vec<f64>,
}

/// A tree without values, and what growing it showed.
#[derive(Debug)]
pub struct Grown {
    /// The tree; all its values are 0.
    pub tree: Tree,
    /// The leaf of each row.
    pub leaves: Vec<usize>,
    /// Sum of the gains of each feature's splits.
    pub gains: Vec<f64>,
}

impl Tree {
    /// Grows a tree of at most `depth` levels of splits for `targets`, one a row; `rng` orders the features. A row counts as often as
    /// `weights` says, at least once.
    pub fn grow(columns: &Columns, targets: &[f64], weights: Option<&[u32]>, depth: usize, rng: &mut Rng) -> Grown {
        let item = |(row, &target): (usize, &f64)| {
            let weight = weights.map_or(1, |weights| weights[row]);
            Item { weighted: target * f64::from(weight), weight, mark: 0 }
        };
        let mut growing = Growing {
            columns,
            targets,
            items: targets.iter().enumerate().map(item).collect(),
            points: vec![Item::default(); targets.len()],
            splits: vec![None; (1 << depth) - 1],
            leaves: vec![0; targets.len()],
            gains: vec![0.0; columns.width],
        };
        for level in 0..depth {
            if !growing.split_level(level, rng) {
                break;
            }
        }
        let tree = Self { splits: growing.splits, values: vec![0.0; (1 << (depth + 1)) - 1] };
        Grown { tree, leaves: growing.leaves, gains: growing.gains }
    }

    /// The split of a node, if it is not a leaf.
    pub fn split(&self, node: usize) -> Option<Split> {
        self.splits.get(node).copied().flatten()
    }

    /// The value at the leaf of one row of features.
    pub fn predict(&self, features: &[f64]) -> f64 {
        let mut node = 0;
        while let Some(split) = self.split(node) {
            node = child(node, features[split.feature], split.threshold);
        }
        self.values[node]
    }
}

fn child(node: usize, value: f64, threshold: f64) -> usize {
    // A value that is not a number goes right, here and in growing.
    if value <= threshold { 2 * node + 1 } else { 2 * node + 2 }
}

/// What a pass over a column needs of a row, side by side in memory.
#[derive(Clone, Copy, Default)]
struct Item {
    /// Target times weight.
    weighted: f64,
    weight: u32,
    /// By row: its node among those of the level, one past them for rows of leaves above. By node: the rank of the row's value.
    mark: u32,
}

/// The rows of a node.
#[derive(Clone, Copy, Default)]
struct Node {
    rows: usize,
    weight: f64,
    sum: f64,
    squares: f64,
}

/// The best split of a node so far.
struct Search {
    rows: usize,
    total_weight: f64,
    total: f64,
    /// `w_l w_r (mean_l − mean_r)²` of the best split: −1 before the first, and infinite where there is nothing to split.
    score: f64,
    feature: usize,
    /// Ranks of the values on either side.
    between: (u32, u32),
}

struct Growing<'a> {
    columns: &'a Columns,
    targets: &'a [f64],
    items: Vec<Item>,
    /// Room for the rows of all nodes, one node after the other.
    points: Vec<Item>,
    splits: Vec<Option<Split>>,
    leaves: Vec<usize>,
    gains: Vec<f64>,
}

impl Growing<'_> {
    /// Splits the nodes of a level; whether there was any to split.
    fn split_level(&mut self, level: usize, rng: &mut Rng) -> bool {
        let (first, count) = ((1 << level) - 1, 1 << level);
        let mut nodes = self.open(first, count);
        let mut order: Vec<usize> = (0..self.columns.width).collect();
        rng.shuffle(&mut order);
        if nodes.iter().all(|node| node.score == f64::INFINITY) {
            return false;
        }
        for feature in order {
            self.search(feature, &mut nodes);
        }
        for (slot, node) in nodes.iter().enumerate().filter(|(_, node)| node.score >= 0.0 && node.score.is_finite()) {
            let values = &self.columns.sorted[node.feature].values;
            let [below, above] = [node.between.0, node.between.1].map(|rank| values[rank as usize]);
            self.splits[first + slot] = Some(Split { feature: node.feature, threshold: halfway(below, above) });
            self.gains[node.feature] += node.score / node.total_weight;
        }
        for (row, leaf) in self.leaves.iter_mut().enumerate() {
            if let Some(split) = self.splits[*leaf] {
                *leaf = child(*leaf, self.columns.value(row, split.feature), split.threshold);
            }
        }
        true
    }

    /// Marks each row with its node. The searches of the level's nodes, and one more for the rows of leaves above, which finds nothing.
    fn open(&mut self, first: usize, count: usize) -> Vec<Search> {
        let mut nodes = vec![Node::default(); count + 1];
        for ((item, leaf), target) in self.items.iter_mut().zip(&self.leaves).zip(self.targets) {
            item.mark = leaf.checked_sub(first).unwrap_or(count) as u32;
            let node = &mut nodes[item.mark as usize];
            node.rows += 1;
            node.weight += f64::from(item.weight);
            node.sum += item.weighted;
            node.squares += item.weighted * target;
        }
        nodes.iter().enumerate().map(|(slot, node)| Search::new(node, slot < count && node.is_mixed())).collect()
    }

    /// Looks for better splits at the values of one feature: sorts its rows into nodes, and goes through one node after the other.
    fn search(&mut self, feature: usize, nodes: &mut [Search]) {
        let Sorted { rows, ranks, .. } = &self.columns.sorted[feature];
        let items = &self.items;
        let ranked = rows.iter().zip(ranks).map(|(&row, &rank)| (items[row as usize], rank));
        if let [root, rest] = nodes
            && rest.rows == 0
        {
            return root.search(feature, ranked.map(|(item, rank)| Item { mark: rank, ..item }));
        }
        let mut next = 0;
        let mut cursors: Vec<usize> = nodes.iter().map(|node| (next, next += node.rows).0).collect();
        for (item, rank) in ranked {
            let cursor = &mut cursors[item.mark as usize];
            self.points[*cursor] = Item { mark: rank, ..item };
            *cursor += 1;
        }
        for (node, end) in nodes.iter_mut().zip(cursors) {
            if node.score < f64::INFINITY {
                node.search(feature, self.points[end - node.rows..end].iter().copied());
            }
        }
    }
}

impl Node {
    /// Whether there is something to split.
    fn is_mixed(&self) -> bool {
        let mean = self.sum / self.weight;
        self.rows >= 2 && self.squares / self.weight - mean * mean > f64::EPSILON
    }
}

impl Search {
    fn new(node: &Node, open: bool) -> Self {
        Self {
            rows: node.rows,
            total_weight: node.weight,
            total: node.sum,
            score: if open { -1.0 } else { f64::INFINITY },
            feature: 0,
            between: (0, 0),
        }
    }

    /// Looks for better splits among the rows of the node, which come in the order of the feature.
    fn search(&mut self, feature: usize, mut points: impl Iterator<Item = Item>) {
        let Some(mut last) = points.next() else { return };
        let (total, total_weight) = (self.total, self.total_weight);
        let (mut weight, mut sum, mut best) = (0.0, 0.0, self.score);
        for point in points {
            weight += f64::from(last.weight);
            sum += last.weighted;
            if point.mark != last.mark {
                let lead = total_weight * sum - weight * total;
                let score = lead * lead / (weight * (total_weight - weight));
                if score > best {
                    best = score;
                    (self.feature, self.between) = (feature, (last.mark, point.mark));
                }
            }
            last = point;
        }
        self.score = best;
    }
}

fn halfway(below: f64, above: f64) -> f64 {
    let middle = below / 2.0 + above / 2.0;
    // Between two neighbouring floats there is nothing.
    if middle < above { middle } else { below }
}
