//! Charts of several curves, for `TensorBoard`'s CUSTOM SCALARS tab.

use protobuf::RepeatedField;
use tensorboard_proto::layout as proto;

/// One chart: all scalars whose tag is matched by one of the patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Title of the chart.
    pub title: String,
    /// Regular expressions, matched from the start of a tag; end with `$` where a tag begins with another.
    pub tags: Vec<String>,
}

/// A titled row of charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Title of the row.
    pub title: String,
    /// Its charts, in order.
    pub charts: Vec<Chart>,
}

/// What the CUSTOM SCALARS tab shows. `TensorBoard` merges the layouts of several runs by category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(pub Vec<Category>);

impl Layout {
    /// The charts of any run: the parts of the ELBO together, the KL of every dimension, minibatch estimates beside the exact
    /// values that they are often mistaken for, adversaries, and scores.
    pub fn of_a_run() -> Self {
        let chart = |title: &str, tags: &[&str]| Chart {
            title: title.to_string(),
            tags: tags.iter().map(ToString::to_string).collect(),
        };
        let estimated = |title: &str, term: &str| {
            chart(title, &[&format!("train/estimate/{term}_"), &format!("evaluate/{term}(/subset_.*)?$")])
        };
        Self(vec![
            Category {
                title: "ELBO".to_string(),
                charts: vec![
                    chart("elbo (nats)", &["train/elbo$", "evaluate/elbo$"]),
                    chart("its parts (nats)", &["train/reconstruction$", "train/kl$"]),
                    chart("loss", &["train/loss$"]),
                ],
            },
            Category {
                title: "KL per dimension".to_string(),
                charts: vec![chart("KL of each latent dimension (nats)", &["train/kl_per_dimension/"])],
            },
            Category {
                title: "Estimates and exact terms".to_string(),
                charts: vec![
                    estimated("mutual information (nats)", "mutual_information"),
                    estimated("total correlation (nats)", "total_correlation"),
                    estimated("dimension-wise KL (nats)", "dimension_wise_kl"),
                    chart(
                        "exact terms together (nats)",
                        &["evaluate/(mutual_information|total_correlation|dimension_wise_kl)(/subset_.*)?$"],
                    ),
                ],
            },
            Category {
                title: "Adversaries".to_string(),
                charts: vec![
                    chart("what the critic says (nats)", &["train/kl_adversarial$", "train/nwj_bound$", "train/kl$"]),
                    chart("cost of the critic (nats)", &["train/critic_cost$", "train/discriminator_cost/"]),
                    chart("share that the critic gets right", &["train/critic_accuracy$"]),
                    chart("who sits out", &["train/gate/"]),
                ],
            },
            Category {
                title: "Disentanglement".to_string(),
                charts: vec![
                    chart("mutual information gap", &["score/mig_(chen|histogram)(/subset_.*)?$"]),
                    chart("votes, accuracies, areas", &["score/(factor_vae|beta_vae|explicitness)$"]),
                    chart("DCI", &["score/dci/"]),
                    chart("SAP, modularity, IRS", &["score/(sap|sap_continuous|modularity|irs)$"]),
                ],
            },
        ])
    }

    pub(super) fn to_message(&self) -> proto::Layout {
        let mut message = proto::Layout::new();
        message.set_category(self.0.iter().map(Category::to_message).collect());
        message
    }
}

impl Category {
    fn to_message(&self) -> proto::Category {
        let mut message = proto::Category::new();
        message.set_title(self.title.clone());
        message.set_chart(self.charts.iter().map(Chart::to_message).collect());
        message
    }
}

impl Chart {
    fn to_message(&self) -> proto::Chart {
        let mut lines = proto::MultilineChartContent::new();
        lines.set_tag(RepeatedField::from_vec(self.tags.clone()));
        let mut message = proto::Chart::new();
        message.set_title(self.title.clone());
        message.set_multiline(lines);
        message
    }
}
