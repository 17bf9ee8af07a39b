//! Colours of points by their level, and the legend that says which is which.

use super::lettering::{Align, CAPTION, LABEL, TICK, widest};
use super::plot::COLOURS;
use super::shapes::Point;
use super::{Canvas, Colour};

/// Without levels, and the first of them.
const PLAIN: Colour = COLOURS[1];
/// So many levels have colours that can be told apart: six of Okabe & Ito 2008, four of Tol 2021 ("muted") that are darker than those.
const CATEGORIES: [Colour; 10] = [
    COLOURS[1],
    COLOURS[0],
    COLOURS[2],
    COLOURS[3],
    COLOURS[4],
    COLOURS[5],
    [60, 60, 60],
    [136, 34, 85],
    [153, 153, 51],
    [51, 34, 136],
];
/// viridis (Smith & van der Walt 2015) in equal steps from its start to 0.9 of it: the rest is too pale for points on paper.
const RAMP: [Colour; 7] =
    [[68, 1, 84], [69, 50, 122], [53, 92, 141], [39, 129, 142], [32, 163, 134], [88, 198, 101], [187, 223, 39]];
const RAMP_WIDTH: usize = 160;

/// How levels are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// One colour for all.
    Plain,
    /// A colour for each of some levels.
    Categories(usize),
    /// From the first level to the last.
    Ramp(usize),
}

impl Colours {
    /// For so many levels.
    pub(super) fn of(levels: Option<usize>) -> Self {
        match levels {
            None => Self::Plain,
            Some(levels) if levels <= CATEGORIES.len() => Self::Categories(levels),
            Some(levels) => Self::Ramp(levels),
        }
    }

    pub(super) fn colour(self, level: usize) -> Colour {
        match self {
            Self::Plain => PLAIN,
            Self::Categories(_) => CATEGORIES[level],
            Self::Ramp(levels) => ramp(level as f64 / (levels - 1) as f64),
        }
    }

    /// Pixels across the legend.
    pub(super) fn legend_width(self, name: &str, level_names: &[String]) -> f64 {
        let names = match self {
            Self::Plain => return 0.0,
            Self::Categories(levels) => (0..levels).map(|level| name_of(level, level_names)).collect::<Vec<_>>(),
            Self::Ramp(levels) => {
                let ends = [0, levels - 1].map(|level| TICK.width(&name_of(level, level_names)));
                return LABEL.width(name).max(RAMP_WIDTH as f64 + 8.0).max(ends[0] + ends[1] + 16.0);
            }
        };
        LABEL.width(name).max(18.0 + widest(&names, CAPTION))
    }

    /// With its upper left corner at a point.
    pub(super) fn draw_legend(self, canvas: &mut Canvas, (left, top): Point, name: &str, level_names: &[String]) {
        let first = top + LABEL.line_height() / 2.0;
        match self {
            Self::Plain => {}
            Self::Categories(levels) => {
                canvas.words((left, first), name, LABEL, Align::Left);
                for level in 0..levels {
                    let y = first + 4.0 + (level + 1) as f64 * CAPTION.line_height();
                    canvas.disc((left + 5.0, y), 4.5, self.colour(level), 1.0);
                    canvas.words((left + 18.0, y), &name_of(level, level_names), CAPTION, Align::Left);
                }
            }
            Self::Ramp(levels) => {
                canvas.words((left, first), name, LABEL, Align::Left);
                let bar = (left as usize, (top + LABEL.line_height() + 6.0) as usize);
                let width = (self.legend_width("", level_names) - 8.0) as usize;
                for column in 0..width {
                    canvas.fill((bar.0 + column, bar.1), (1, 12), ramp(column as f64 / (width - 1) as f64));
                }
                let y = bar.1 as f64 + 12.0 + 10.0;
                canvas.words((left, y), &name_of(0, level_names), TICK, Align::Left);
                canvas.words((left + width as f64, y), &name_of(levels - 1, level_names), TICK, Align::Right);
            }
        }
    }
}

/// From 0 to 1.
fn ramp(share: f64) -> Colour {
    between(&RAMP, share)
}

/// The colour at a share, from 0 to 1, of the way along some colours at equal steps.
pub(super) fn between(colours: &[Colour], share: f64) -> Colour {
    let place = share.clamp(0.0, 1.0) * (colours.len() - 1) as f64;
    let index = (place as usize).min(colours.len() - 2);
    let rest = place - index as f64;
    let channel = |c: usize| {
        let (from, to) = (f64::from(colours[index][c]), f64::from(colours[index + 1][c]));
        (from + rest * (to - from)).round() as u8
    };
    [channel(0), channel(1), channel(2)]
}

fn name_of(level: usize, level_names: &[String]) -> String {
    level_names.get(level).cloned().unwrap_or_else(|| level.to_string())
}
