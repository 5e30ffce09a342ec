//! Classifiers: what an attacker can tell who has learned from half of the phones.

/// One question or phone as an attacker sees it, with the truth to learn from and be judged by.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) features: Vec<f64>,
    pub(crate) is_real: bool,
    /// How much it counts within its class.
    pub(crate) weight: f64,
    /// Which half of the phones it is of.
    pub(crate) is_odd: bool,
}

/// How well an attacker tells.
#[derive(Clone, Debug)]
pub(crate) struct Score {
    /// Balanced accuracy: the mean of how often the real and the others are told right.
    pub(crate) accuracy: f64,
    /// Standard error of the balanced accuracy.
    pub(crate) error: f64,
    /// The way that was best.
    pub(crate) way: String,
}

/// A rule that says how real something looks; above 0 it counts as real.
type Rule = Box<dyn Fn(&[f64]) -> f64>;

/// The best of three ways: one threshold, logistic regression, naive Bayes. Each learns from one
/// half of the phones and is judged by the other, and then the other way round.
pub(crate) fn best(samples: &[Sample], names: &[&str]) -> Option<Score> {
    let (odd, even): (Vec<&Sample>, Vec<&Sample>) =
        samples.iter().partition(|sample| sample.is_odd);
    let has_both = |samples: &[&Sample]| {
        let real = samples.iter().filter(|sample| sample.is_real).count();
        real >= 5 && samples.len() - real >= 5
    };
    if !has_both(&odd) || !has_both(&even) {
        return None;
    }
    let rules = rules(&odd, names).into_iter().zip(rules(&even, names));
    let scores = rules.map(|((way, from_odd), (_, from_even))| {
        let told = |sample: &&Sample, rule: &Rule| (rule(&sample.features) > 0.0) == sample.is_real;
        let judged = even.iter().map(|sample| (*sample, told(sample, &from_odd)));
        let judged = judged.chain(odd.iter().map(|sample| (*sample, told(sample, &from_even))));
        score(&judged.collect::<Vec<_>>(), way)
    });
    scores.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
}

/// The three rules that are learned from these samples, and what they are called.
fn rules(lessons: &[&Sample], names: &[&str]) -> [(String, Rule); 3] {
    let (feature, threshold) = threshold(lessons);
    [
        (format!("threshold: {}", names[feature]), threshold),
        ("logistic regression".to_owned(), logistic(lessons)),
        ("naive Bayes".to_owned(), bayes(lessons)),
    ]
}

/// The score of samples that were told right or wrong.
fn score(judged: &[(&Sample, bool)], way: String) -> Score {
    let share = |is_real: bool| {
        let class = judged.iter().filter(|(sample, _)| sample.is_real == is_real);
        let count: f64 = class.clone().map(|(sample, _)| sample.weight).sum();
        let squares: f64 = class.clone().map(|(sample, _)| sample.weight.powi(2)).sum();
        let right: f64 =
            class.filter(|(_, is_right)| *is_right).map(|(sample, _)| sample.weight).sum();
        let effective = count * count / squares;
        // One more of each, so that a small sample does not claim to have no error.
        let smooth = (right / count * effective + 1.0) / (effective + 2.0);
        (right / count, smooth * (1.0 - smooth) / effective)
    };
    let (real, other) = (share(true), share(false));
    let error = (real.1 + other.1).sqrt() / 2.0;
    Score { accuracy: f64::midpoint(real.0, other.0), error, way }
}

/// How much a sample counts, so that both classes count alike.
fn weights(samples: &[&Sample]) -> impl Fn(&Sample) -> f64 + use<> {
    let sum = |is_real: bool| {
        let class = samples.iter().filter(|sample| sample.is_real == is_real);
        class.map(|sample| sample.weight).sum::<f64>()
    };
    let (real, others) = (sum(true), sum(false));
    move |sample| 0.5 * sample.weight / if sample.is_real { real } else { others }
}

/// The one feature and threshold that tell best, upwards or downwards.
fn threshold(lessons: &[&Sample]) -> (usize, Rule) {
    let weight = weights(lessons);
    let mut best = (0.0, 0, 0.0, 1.0);
    for feature in 0..lessons[0].features.len() {
        let mut sorted = lessons.to_vec();
        sorted.sort_by(|a, b| a.features[feature].total_cmp(&b.features[feature]));
        // Balanced accuracy above 1/2 of calling everything real that is above a threshold.
        let mut gain = 0.0;
        for pair in sorted.windows(2) {
            gain += weight(pair[0]) * if pair[0].is_real { -1.0 } else { 1.0 };
            let (below, above) = (pair[0].features[feature], pair[1].features[feature]);
            if below < above && f64::abs(gain) > best.0 {
                let middle = f64::midpoint(below, above);
                best = (f64::abs(gain), feature, middle, f64::signum(gain));
            }
        }
    }
    let (_, feature, at, sign) = best;
    (feature, Box::new(move |features| (features[feature] - at) * sign))
}

/// Logistic regression on standardized features and their squares, by gradient descent.
fn logistic(lessons: &[&Sample]) -> Rule {
    let (means, deviations) = moments(lessons);
    let expand = move |features: &[f64]| -> Vec<f64> {
        let each = features.iter().zip(&means).zip(&deviations);
        let scaled: Vec<f64> =
            each.map(|((x, mean), deviation)| ((x - mean) / deviation).clamp(-4.0, 4.0)).collect();
        let squares = scaled.iter().map(|x| x * x - 1.0);
        scaled.iter().copied().chain(squares).chain([1.0]).collect()
    };
    let weight = weights(lessons);
    let row = |sample: &&Sample| (expand(&sample.features), sample.is_real, weight(sample));
    let rows: Vec<(Vec<f64>, bool, f64)> = lessons.iter().map(row).collect();
    let mut factors = vec![0.0; rows[0].0.len()];
    for _ in 0..300 {
        let mut slope: Vec<f64> = factors.iter().map(|factor| 0.02 * factor).collect();
        for (row, is_real, weight) in &rows {
            let chance = 1.0 / (1.0 + (-dot(&factors, row)).exp());
            let wrong = (chance - f64::from(u8::from(*is_real))) * weight;
            slope.iter_mut().zip(row).for_each(|(slope, x)| *slope += wrong * x);
        }
        factors.iter_mut().zip(&slope).for_each(|(factor, slope)| *factor -= 0.3 * slope);
    }
    Box::new(move |features| dot(&factors, &expand(features)))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn moments(samples: &[&Sample]) -> (Vec<f64>, Vec<f64>) {
    let count = samples.len() as f64;
    let features = 0..samples[0].features.len();
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(|s| of(s)).sum::<f64>() / count;
    let means: Vec<f64> = features.clone().map(|at| mean(&|s| s.features[at])).collect();
    let variance = |at: usize| mean(&|s| (s.features[at] - means[at]).powi(2));
    let deviations = features.map(|at| variance(at).sqrt().max(1e-9)).collect();
    (means, deviations)
}

/// Parts into which naive Bayes divides each feature.
const PARTS: usize = 6;

/// Naive Bayes on features in equally frequent parts.
fn bayes(lessons: &[&Sample]) -> Rule {
    let weight = weights(lessons);
    let table = |feature: usize| {
        let mut sorted: Vec<f64> = lessons.iter().map(|sample| sample.features[feature]).collect();
        sorted.sort_by(f64::total_cmp);
        let mut cuts: Vec<f64> =
            (1..PARTS).map(|part| sorted[part * sorted.len() / PARTS]).collect();
        cuts.dedup();
        let mut counts = vec![[1.0, 1.0]; cuts.len() + 1];
        for sample in lessons {
            let count = weight(sample) * lessons.len() as f64;
            counts[part(&cuts, sample.features[feature])][usize::from(sample.is_real)] += count;
        }
        let sums = [0, 1].map(|class| counts.iter().map(|count| count[class]).sum::<f64>());
        let evidence =
            counts.iter().map(|[other, real]| (real / sums[1]).ln() - (other / sums[0]).ln());
        (cuts, evidence.collect::<Vec<f64>>())
    };
    let tables: Vec<_> = (0..lessons[0].features.len()).map(table).collect();
    Box::new(move |features| {
        let each = tables.iter().zip(features);
        each.map(|((cuts, evidence), x)| evidence[part(cuts, *x)]).sum()
    })
}

fn part(cuts: &[f64], x: f64) -> usize {
    cuts.partition_point(|cut| *cut <= x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Two features: noise, and one that is larger by `shift` if real.
    fn samples(shift: f64, squared: bool) -> Vec<Sample> {
        let mut random = Random::of(&[1]);
        let sample = |number: u64| {
            let is_real = number.is_multiple_of(3);
            let (noise, x) = (random.unit(), random.unit());
            let spread = if squared && is_real { 3.0 } else { 1.0 };
            let x = (x - 0.5) * spread + if is_real { shift } else { 0.0 };
            let is_odd = number.is_multiple_of(2);
            Sample { features: vec![noise, x], is_real, weight: 1.0, is_odd }
        };
        (0..3000).map(sample).collect()
    }

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let score = |shift, squared| best(&samples(shift, squared), &["noise", "x"]).unwrap();
        // Uniform on [0, 1) against [0.5, 1.5): half of each is told for sure.
        assert!((0.7..0.8).contains(&score(0.5, false).accuracy));
        assert!(score(2.0, false).accuracy > 0.99);
        // Equal means, other spread: two thirds of the real ones lie outside.
        assert!(score(0.0, true).accuracy > 0.75);
        let nothing = score(0.0, false);
        assert!((nothing.accuracy - 0.5).abs() < 4.0 * nothing.error, "{nothing:?}");
        assert!((0.007..0.014).contains(&nothing.error), "{nothing:?}");
    }

    #[test]
    fn every_way_tells() {
        let samples = samples(0.6, false);
        let (lessons, judged): (Vec<&Sample>, Vec<&Sample>) =
            samples.iter().partition(|sample| sample.is_odd);
        for (way, rule) in rules(&lessons, &["noise", "x"]) {
            let told = |sample: &&Sample| (rule(&sample.features) > 0.0) == sample.is_real;
            let right = judged.iter().filter(|sample| told(sample)).count();
            assert!(right as f64 > 0.72 * judged.len() as f64, "{way}");
        }
    }

    #[test]
    fn weights_make_classes_comparable() {
        // Real ones have twice as large a chance to have 1 as others, which count by it.
        let sample = |number: u32| {
            let (is_real, has_one) = (number.is_multiple_of(2), number % 6 < 4);
            let has_one = if is_real { has_one } else { number % 4 == 1 };
            let weight = if is_real || !has_one { 1.0 } else { 2.0 };
            let features = vec![f64::from(u8::from(has_one))];
            Sample { features, is_real, weight, is_odd: number % 24 < 12 }
        };
        let samples: Vec<Sample> = (0..2400).map(sample).collect();
        let score = best(&samples, &["has one"]).unwrap();
        assert!((score.accuracy - 0.5).abs() < 0.001, "{score:?}");
        let alike: Vec<Sample> =
            samples.into_iter().map(|sample| Sample { weight: 1.0, ..sample }).collect();
        assert!(best(&alike, &["has one"]).unwrap().accuracy > 0.58);
    }

    #[test]
    fn too_few_are_no_score() {
        assert!(best(&samples(1.0, false)[..20], &["noise", "x"]).is_none());
    }
}
