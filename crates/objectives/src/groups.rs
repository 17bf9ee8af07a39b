//! Groups of latent dimensions, nested: a tree whose leaves are the dimensions.

use elbo_core::config;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tch::Tensor;

/// A dimension, or a group of dimensions and groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A latent dimension, from 0.
    Dimension(i64),
    /// What belongs together, never empty.
    Group(Vec<Node>),
}

/// All latent dimensions as a tree: the root's children are the outermost groups.
///
/// In a configuration, nested lists:
/// ```json
/// [[0, 1], [2, 3, [4, 5]]]
/// ```
///
/// Level 0 is the root alone, level 1 the lists in it, and so on; [`Groups::depth`] counts the levels that have a list (three above). A flat
/// list of all dimensions has depth 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups(Vec<Node>);

/// The lists of one level among [`Groups::lists`], and what they are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Index of the first list of this level.
    pub first: i64,
    /// Number of lists of this level. Those of the next level, their children, follow at `first + lists`.
    pub lists: i64,
    /// Number of lists among the children.
    pub child_lists: i64,
    /// Dimensions among the children.
    pub child_dimensions: Vec<i64>,
}

impl Groups {
    /// Groups from the root's children.
    ///
    /// # Panics
    /// For a group without anything in it.
    pub fn new(children: Vec<Node>) -> Self {
        assert!(has_no_empty_group(&children), "a group must not be empty");
        Self(children)
    }

    /// All `latent` dimensions beside each other, without groups.
    pub fn flat(latent: i64) -> Self {
        Self::new((0..latent).map(Node::Dimension).collect())
    }

    /// Number of levels that have a list.
    pub fn depth(&self) -> usize {
        self.levels().len()
    }

    /// The dimensions under every list, level by level, the root first.
    pub fn lists(&self) -> Vec<Vec<i64>> {
        self.by_level().into_iter().flatten().map(|list| dimensions(list)).collect()
    }

    /// The levels, from the root down.
    pub fn levels(&self) -> Vec<Level> {
        let by_level = self.by_level();
        let mut first = 0;
        let count = |level: usize| by_level.get(level).map_or(0, Vec::len) as i64;
        let mut levels = Vec::new();
        for (level, lists) in by_level.iter().enumerate() {
            let children = lists.iter().copied().flatten();
            let child_dimensions = children.filter_map(|child| match child {
                Node::Dimension(dimension) => Some(*dimension),
                Node::Group(_) => None,
            });
            let child_dimensions = child_dimensions.collect();
            levels.push(Level { first, lists: count(level), child_lists: count(level + 1), child_dimensions });
            first += count(level);
        }
        levels
    }

    /// Whether every dimension of 0..`latent` stands in the tree exactly once.
    ///
    /// # Errors
    /// The dimension that is missing, doubled or not there.
    pub fn check(&self, latent: i64) -> Result<(), String> {
        let dimensions = dimensions(&self.0);
        check_disjoint(dimensions.iter().copied(), latent)?;
        match (0..latent).find(|dimension| !dimensions.contains(dimension)) {
            Some(missing) => Err(format!("expected each of the {latent} dimensions once, but {missing} is missing")),
            None => Ok(()),
        }
    }

    fn by_level(&self) -> Vec<Vec<&[Node]>> {
        let mut levels: Vec<Vec<&[Node]>> = Vec::new();
        let mut lists: Vec<&[Node]> = vec![&self.0];
        while !lists.is_empty() {
            let children = lists.iter().copied().flatten();
            let next = children.filter_map(|child| match child {
                Node::Group(list) => Some(list.as_slice()),
                Node::Dimension(_) => None,
            });
            let next = next.collect();
            levels.push(std::mem::replace(&mut lists, next));
        }
        levels
    }
}

/// Whether every dimension is one of 0..`latent`, and none stands there twice.
///
/// # Errors
/// The first that is not.
pub(crate) fn check_disjoint(dimensions: impl Iterator<Item = i64>, latent: i64) -> Result<(), String> {
    let mut seen = vec![false; latent as usize];
    for dimension in dimensions {
        match usize::try_from(dimension).ok().and_then(|index| seen.get_mut(index)) {
            None => return Err(format!("expected dimensions from 0 to {}, got {dimension}", latent - 1)),
            Some(true) => return Err(format!("expected every dimension once, but {dimension} stands there twice")),
            Some(seen) => *seen = true,
        }
    }
    Ok(())
}

/// The columns of `codes` (`[B, D]`) that `dimensions` names, in that order: `[B, |dimensions|]`. By slices, because an index tensor would
/// have to be copied to the device at every step.
pub(crate) fn columns(codes: &Tensor, dimensions: &[i64]) -> Tensor {
    let mut slices = Vec::new();
    for run in dimensions.chunk_by(|dimension, next| *next == dimension + 1) {
        slices.push(codes.narrow(1, run[0], run.len() as i64));
    }
    Tensor::cat(&slices, 1)
}

fn dimensions(nodes: &[Node]) -> Vec<i64> {
    let of = |node: &Node| match node {
        Node::Dimension(dimension) => vec![*dimension],
        Node::Group(children) => dimensions(children),
    };
    nodes.iter().flat_map(of).collect()
}

fn has_no_empty_group(nodes: &[Node]) -> bool {
    let is_filled = |node: &Node| match node {
        Node::Dimension(_) => true,
        Node::Group(children) => has_no_empty_group(children),
    };
    !nodes.is_empty() && nodes.iter().all(is_filled)
}

fn read(value: &Value) -> Option<Vec<Node>> {
    let node = |value: &Value| match value {
        Value::Array(_) => read(value).map(Node::Group),
        _ => value.as_i64().filter(|&dimension| dimension >= 0).map(Node::Dimension),
    };
    value.as_array().filter(|items| !items.is_empty())?.iter().map(node).collect()
}

fn write(nodes: &[Node]) -> Value {
    let node = |node: &Node| match node {
        Node::Dimension(dimension) => Value::from(*dimension),
        Node::Group(children) => write(children),
    };
    nodes.iter().map(node).collect()
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "nested lists of latent dimensions, none of them empty, such as [[0, 1], [2, 3, 4]]";
        config::expect(deserializer, expected, read).map(Self)
    }
}

impl Serialize for Groups {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(&self.0).serialize(serializer)
    }
}
