//! Discrete models, whose every expectation is a finite sum.

use super::random::Random;

/// p(z) p(x|z), q(z|x) and data, as tables.
///
/// z has some coordinates of a few levels each; a state is the index of one combination, the last coordinate running fastest. p(z)
/// factorises over them, q(z|x) does not.
#[derive(Debug, Clone)]
pub struct Discrete {
    /// Levels of each coordinate.
    pub levels: Vec<usize>,
    /// p(z) by state.
    pub prior: Vec<f64>,
    /// p(x|z), by state and then value.
    pub decoder: Vec<Vec<f64>>,
    /// q(z|x), by value and then state.
    pub encoder: Vec<Vec<f64>>,
    /// The values of the N data points; a value may come twice.
    pub data: Vec<usize>,
}

impl Discrete {
    /// Two or three coordinates of two to four levels.
    pub fn random(random: &mut Random) -> Self {
        let levels: Vec<usize> = (0..random.whole(2, 3)).map(|_| random.whole(2, 4)).collect();
        Self::with_levels(&levels, random)
    }

    /// Two coordinates of two or three levels, for sums over tuples of states.
    pub fn small(random: &mut Random) -> Self {
        Self::with_levels(&[2, random.whole(2, 3)], random)
    }

    /// Given levels; three to five values, three to six data points.
    pub fn with_levels(levels: &[usize], random: &mut Random) -> Self {
        let factors: Vec<Vec<f64>> = levels.iter().map(|&size| random.distribution(size)).collect();
        let states = levels.iter().product();
        let values = random.whole(3, 5);
        Self {
            levels: levels.to_vec(),
            prior: product(levels, &factors),
            decoder: random.distributions(states, values),
            encoder: random.distributions(values, states),
            data: (0..random.whole(3, 6)).map(|_| random.whole(0, values - 1)).collect(),
        }
    }

    /// Number of states of z.
    pub fn states(&self) -> usize {
        self.prior.len()
    }

    /// Number of values of x.
    pub fn values(&self) -> usize {
        self.encoder.len()
    }

    /// `1/N Σ_n f(x_n)`.
    pub fn data_mean(&self, f: impl Fn(usize) -> f64) -> f64 {
        self.data.iter().map(|&x| f(x)).sum::<f64>() / self.data.len() as f64
    }

    /// p̂(x): the share of each value among the data.
    pub fn empirical(&self) -> Vec<f64> {
        (0..self.values()).map(|value| self.data_mean(|x| f64::from(u8::from(x == value)))).collect()
    }

    /// `q(z) = 1/N Σ_n q(z|x_n)`.
    pub fn aggregate(&self) -> Vec<f64> {
        (0..self.states()).map(|z| self.data_mean(|x| self.encoder[x][z])).collect()
    }

    /// p(x, z) for one x.
    pub fn joint(&self, x: usize) -> Vec<f64> {
        self.prior.iter().zip(&self.decoder).map(|(prior, likelihood)| prior * likelihood[x]).collect()
    }

    /// p(x).
    pub fn evidence(&self, x: usize) -> f64 {
        self.joint(x).iter().sum()
    }

    /// p(z|x).
    pub fn posterior(&self, x: usize) -> Vec<f64> {
        let evidence = self.evidence(x);
        self.joint(x).iter().map(|joint| joint / evidence).collect()
    }

    /// `E_q(z|x)[log p(x, z) − log q(z|x)]`.
    pub fn elbo(&self, x: usize) -> f64 {
        let (q, joint) = (&self.encoder[x], self.joint(x));
        expectation(q, |z| joint[z].ln() - q[z].ln())
    }

    /// `E_q(z|x)[log p(x|z)]`.
    pub fn expected_log_likelihood(&self, x: usize) -> f64 {
        expectation(&self.encoder[x], |z| self.decoder[z][x].ln())
    }

    /// The marginal of a table over states, over the coordinates `group` alone.
    pub fn marginal(&self, table: &[f64], group: &[usize]) -> Vec<f64> {
        let mut marginal = vec![0.0; group.iter().map(|&d| self.levels[d]).product()];
        for (state, probability) in table.iter().enumerate() {
            marginal[self.within(state, group)] += probability;
        }
        marginal
    }

    /// All one-dimensional marginals.
    pub fn marginals(&self, table: &[f64]) -> Vec<Vec<f64>> {
        (0..self.levels.len()).map(|d| self.marginal(table, &[d])).collect()
    }

    /// The table over states that is the product of the marginals over `groups`.
    pub fn product_of_marginals(&self, table: &[f64], groups: &[Vec<usize>]) -> Vec<f64> {
        let marginals: Vec<Vec<f64>> = groups.iter().map(|group| self.marginal(table, group)).collect();
        let factor = |state, group: &[usize], marginal: &[f64]| marginal[self.within(state, group)];
        let at =
            |state| groups.iter().zip(&marginals).map(|(group, marginal)| factor(state, group, marginal)).product();
        (0..table.len()).map(at).collect()
    }

    /// Index of a state among the combinations of the coordinates of `group`.
    fn within(&self, state: usize, group: &[usize]) -> usize {
        let levels = digits(&self.levels, state);
        group.iter().fold(0, |index, &d| index * self.levels[d] + levels[d])
    }
}

/// The level of each coordinate in a state.
pub fn digits(levels: &[usize], mut state: usize) -> Vec<usize> {
    let mut digits = vec![0; levels.len()];
    for (digit, size) in digits.iter_mut().zip(levels).rev() {
        (*digit, state) = (state % size, state / size);
    }
    digits
}

/// The table over states of independent coordinates.
pub fn product(levels: &[usize], factors: &[Vec<f64>]) -> Vec<f64> {
    let states = levels.iter().product();
    let at = |state| digits(levels, state).into_iter().zip(factors).map(|(level, factor)| factor[level]);
    (0..states).map(|state| at(state).product()).collect()
}

/// `Σ_i p_i f(i)`.
pub fn expectation(p: &[f64], f: impl Fn(usize) -> f64) -> f64 {
    p.iter().enumerate().filter(|&(_, &p)| p > 0.0).map(|(i, p)| p * f(i)).sum()
}

/// `KL(p ‖ q) = Σ p log(p/q)`; terms with p = 0 are 0.
pub fn kl(p: &[f64], q: &[f64]) -> f64 {
    expectation(p, |i| (p[i] / q[i]).ln())
}

/// `−Σ p log p`.
pub fn entropy(p: &[f64]) -> f64 {
    -expectation(p, |i| p[i].ln())
}

/// Visits every tuple of `length` states with its probability under independent draws from `p`.
pub fn tuples(p: &[f64], length: usize, visit: &mut impl FnMut(f64, &[usize])) {
    let levels = vec![p.len(); length];
    for index in 0..p.len().pow(length as u32) {
        let tuple = digits(&levels, index);
        visit(tuple.iter().map(|&state| p[state]).product(), &tuple);
    }
}
