//! What an attribute is: anything that is true of some images of a data set and false of the others.
//!
//! | data that know | attribute | is true of |
//! |---|---|---|
//! | a table of attributes | its name, `sunglasses` | images with a 1 in that column |
//! | factors | `shape=heart`, `scale=3..6`, `position_x=0..32/2` | images whose factor has that level, one of those levels |
//! | labels | `label=7` | images of that class |
//!
//! Levels are counted from 0 among those that occur, in the order of the values they stand for. The shapes of dSprites have names.

use elbo_data::sprites::{FACTORS, SHAPES};
use elbo_data::{Dataset, Factors, Levels};
use tch::{Device, Kind, Tensor};

/// A yes-or-no property of every image of a data set.
#[derive(Debug)]
pub struct Attribute {
    /// As it was asked for.
    pub name: String,
    /// Int64 `[N]` on the CPU: 1 for the images that have it, 0 for the others.
    pub has: Tensor,
    origin: Origin,
}

/// Where an attribute comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A column of the table of attributes.
    Column(usize),
    /// A factor.
    Factor(usize),
    /// The labels.
    Label,
}

/// Levels of a factor that are named one by one; of more, the first and the last.
const NAMED: i64 = 6;

impl Attribute {
    /// The attribute called `name`.
    ///
    /// # Errors
    /// A sentence that lists what there is, where there is no such attribute, or all images or none have it.
    pub fn named(data: &Dataset, name: &str) -> Result<Self, String> {
        let (has, origin) = Self::find(data, name)
            .ok_or_else(|| format!("expected an attribute of {}: {}; got \"{name}\"", data.name, listing(data)))??;
        let count = has.sum(Kind::Int64).int64_value(&[]);
        if count == 0 || count == data.len() {
            let who = if count == 0 { "no" } else { "every" };
            return Err(format!("expected an attribute that some images have, got \"{name}\", which {who} image has"));
        }
        Ok(Self { name: name.to_owned(), has, origin })
    }

    /// `None` where nothing has that name; an error where the name is right and the level is not.
    fn find(data: &Dataset, name: &str) -> Option<Result<(Tensor, Origin), String>> {
        if let Some(attributes) = &data.attributes
            && let Some(k) = attributes.names.iter().position(|other| other == name)
        {
            let column = attributes.values.select(1, k as i64).to_kind(Kind::Int64);
            return Some(Ok((column, Origin::Column(k))));
        }
        let (key, value) = name.split_once('=')?;
        if let Some(labels) = data.labels.as_ref().filter(|_| key == "label") {
            let label: i64 = value.parse().ok()?;
            return Some(Ok((labels.eq(label).to_kind(Kind::Int64), Origin::Label)));
        }
        let factors = data.factors.as_ref()?;
        let k = factors.names.iter().position(|other| other == key)?;
        let classes = factors.classes.select(1, k as i64);
        let named = (0..factors.sizes[k]).find(|&level| level_name(factors, k, level) == value);
        let levels = match named {
            Some(level) => Ok(vec![level as usize]),
            None => value.parse::<Levels>().and_then(|levels| levels.resolve(factors.sizes[k] as usize)),
        };
        let chosen = |levels: Vec<usize>| {
            let chosen = levels.iter().fold(classes.eq(-1), |any, &level| any.logical_or(&classes.eq(level as i64)));
            (chosen.to_kind(Kind::Int64), Origin::Factor(k))
        };
        Some(levels.map(chosen).map_err(|problem| format!("{key}: {problem}")))
    }

    /// What else is known of some images (`rows`, Int64 `[n]`), as numbers that a code may be a linear function of: float64 `[n, J]` on the
    /// CPU. Every level but the first of every other factor; every other column of the table that is free to vary, which means that it
    /// comes and fails to come among images with the attribute and among those without.
    pub fn others(&self, data: &Dataset, rows: &Tensor) -> Tensor {
        let rows = rows.to_device(Device::Cpu);
        let has = self.has.index_select(0, &rows);
        let mut columns = Vec::new();
        if let Some(factors) = &data.factors {
            let classes = factors.classes.index_select(0, &rows);
            for (k, &size) in factors.sizes.iter().enumerate().filter(|&(k, _)| self.origin != Origin::Factor(k)) {
                columns.extend((1..size).map(|level| classes.select(1, k as i64).eq(level)));
            }
        }
        if let Some(attributes) = &data.attributes {
            let values = attributes.values.index_select(0, &rows);
            let free = |column: &Tensor| {
                let cells = &has * 2 + column.to_kind(Kind::Int64);
                (0..4).all(|cell| cells.eq(cell).any().int64_value(&[]) == 1)
            };
            let others = (0..attributes.names.len()).filter(|&k| self.origin != Origin::Column(k));
            columns.extend(others.map(|k| values.select(1, k as i64).ne(0)).filter(free));
        }
        if columns.is_empty() {
            return Tensor::zeros([rows.size()[0], 0], (Kind::Double, Device::Cpu));
        }
        Tensor::stack(&columns, 1).to_kind(Kind::Double)
    }
}

/// The attributes to look at where none is asked for, at most `most`: the columns of the table; or else the levels of the factor with the
/// fewest; or else the labels.
pub fn usual(data: &Dataset, most: usize) -> Vec<String> {
    let all: Vec<String> = if let Some(attributes) = &data.attributes {
        attributes.names.clone()
    } else if let Some(factors) = &data.factors {
        let (k, &size) = factors.sizes.iter().enumerate().min_by_key(|(_, size)| **size).expect("there is a factor");
        // Of two levels, one is the absence of the other.
        (i64::from(size == 2)..size)
            .map(|level| format!("{}={}", factors.names[k], level_name(factors, k, level)))
            .collect()
    } else {
        labels(data).iter().map(|label| format!("label={label}")).collect()
    };
    all.into_iter().filter(|name| Attribute::named(data, name).is_ok()).take(most).collect()
}

/// Every attribute there is, in words; empty where nothing is known of the images.
pub fn listing(data: &Dataset) -> String {
    let mut all = data.attributes.as_ref().map_or_else(Vec::new, |attributes| attributes.names.clone());
    if let Some(factors) = &data.factors {
        for (k, (name, &size)) in factors.names.iter().zip(&factors.sizes).enumerate() {
            let named = |level| format!("{name}={}", level_name(factors, k, level));
            if size <= NAMED {
                all.extend((0..size).map(named));
            } else {
                all.push(format!("{} to {}", named(0), named(size - 1)));
            }
        }
    }
    all.extend(labels(data).iter().map(|label| format!("label={label}")));
    all.join(", ")
}

/// The labels that occur, rising.
fn labels(data: &Dataset) -> Vec<i64> {
    let mut labels =
        data.labels.as_ref().map_or_else(Vec::new, |labels| Vec::<i64>::try_from(labels).expect("Int64 labels"));
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// `heart` for the third shape of dSprites, else the level's number.
fn level_name(factors: &Factors, k: usize, level: i64) -> String {
    let sprites = factors.names.iter().all(|name| FACTORS.contains(&name.as_str())) && factors.names[k] == FACTORS[0];
    let shape = || {
        let row = factors.classes.select(1, k as i64).eq(level).to_kind(Kind::Int64).argmax(0, false).int64_value(&[]);
        let value = factors.values.double_value(&[row, k as i64]);
        SHAPES.get((value - 1.0) as usize).filter(|_| value >= 1.0)
    };
    if sprites && let Some(name) = shape() { (*name).to_owned() } else { level.to_string() }
}
