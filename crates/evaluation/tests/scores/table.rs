//! The table that every score looks at.

use elbo_evaluation::scores::{Score, Table};

fn table() -> Table {
    let codes: Vec<Vec<f64>> = (0..9).map(|row| vec![f64::from(row), f64::from(10 * row)]).collect();
    let levels: Vec<Vec<usize>> = (0..9).map(|row| vec![row / 3, row % 3, usize::from(row == 8)]).collect();
    Table::from_rows(&codes, &levels)
}

#[test]
fn rows_columns_and_selections_are_those_of_the_rows() {
    let table = table();
    assert_eq!((table.rows(), table.dimensions(), table.factors()), (9, 2, 3));
    assert_eq!(table.sizes(), [3, 3, 2]);
    assert_eq!(table.code(4), [4.0, 40.0]);
    assert_eq!(table.dimension(1)[8..], [80.0]);
    assert_eq!(table.factor(0), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let two = table.select(&[8, 8, 0]);
    assert_eq!((two.code(1), two.levels(1), two.levels(2)), (&[8.0, 80.0][..], &[2, 2, 1][..], &[0, 0, 0][..]));
    let fewer = table.without_factor(1);
    assert_eq!((fewer.sizes(), fewer.levels(8)), (&[3, 2][..], &[2, 1][..]));
}

#[test]
fn a_split_takes_every_row_once_and_two_thirds_to_learn_from_where_there_are_too_few() {
    let table = table();
    let (train, test) = table.split(10, 5, 1);
    assert_eq!((train.rows(), test.rows()), (6, 3));
    let mut seen: Vec<i64> = train.dimension(0).iter().chain(&test.dimension(0)).map(|&value| value as i64).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..9).collect::<Vec<_>>());
    let (train, test) = table.split(4, 2, 1);
    assert_eq!((train.rows(), test.rows()), (4, 2));
    assert_eq!(table.split(4, 2, 1).0, train);
}

#[test]
fn an_interval_reaches_two_deviations_and_stays_between_0_and_1() {
    let score = Score::with_resamples(0.5, &[0.4, 0.6]);
    let reach = 1.96 * 0.02_f64.sqrt();
    assert!((score.low - (0.5 - reach)).abs() < 1e-12 && (score.high - (0.5 + reach)).abs() < 1e-12);
    assert!(Score::with_resamples(0.99, &[0.5, 1.0]).high >= 1.0);
}
