//! Plots as SVG.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// A line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// Its name.
    pub(super) name: String,
    /// Its points.
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// The name of its file.
    pub(super) file: &'static str,
    /// What it shows.
    pub(super) title: String,
    /// What the axis to the right says.
    pub(super) x: &'static str,
    /// What the axis upwards says.
    pub(super) y: &'static str,
    /// Whether both axes are logarithmic.
    pub(super) is_log: bool,
    /// Its lines.
    pub(super) series: Vec<Series>,
}

/// Of peers; ours are [`OURS`].
const COLOURS: [RGBColor; 9] = [
    RGBColor(214, 39, 40),
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
    RGBColor(188, 148, 34),
    RGBColor(23, 190, 207),
];
const OURS: [RGBColor; 2] = [RGBColor(11, 110, 79), RGBColor(60, 179, 113)];

const SIZE: (u32, u32) = (880, 520);
/// Where the names begin.
const SPLIT: u32 = 690;

impl Plot {
    /// Draws it into a file of this folder.
    ///
    /// # Errors
    /// There is nothing to draw, or the file cannot be written.
    pub(super) fn draw(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let path = folder.join(self.file);
        let root = SVGBackend::new(&path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(SPLIT);
        let (x, y) = (self.bounds(|point| point.0)?, self.bounds(|point| point.1)?);
        if self.is_log {
            self.chart(&left, (x.0..x.1).log_scale(), (y.0..y.1).log_scale())?;
        } else {
            self.chart(&left, x.0..x.1, y.0..y.1)?;
        }
        self.names(&right)?;
        root.present()?;
        Ok(())
    }

    /// The points that the axes can show: none at or below 0 if they are logarithmic.
    fn points<'a>(&self, series: &'a Series) -> impl Iterator<Item = (f64, f64)> + use<'a> {
        let least = if self.is_log { f64::MIN_POSITIVE } else { 0.0 };
        series.points.iter().copied().filter(move |point| point.0 >= least && point.1 >= least)
    }

    /// Least and greatest number on an axis, with a margin.
    fn bounds(&self, axis: impl Fn(&(f64, f64)) -> f64) -> Result<(f64, f64), Box<dyn Error>> {
        let values = self.series.iter().flat_map(|series| self.points(series)).map(|p| axis(&p));
        let (least, most) =
            values.fold((f64::INFINITY, 0f64), |(least, most), v| (least.min(v), most.max(v)));
        if !least.is_finite() {
            return Err(format!("{}: no points to draw", self.file).into());
        }
        if self.is_log {
            return Ok((least / 1.3, most * 1.3));
        }
        let margin = (most - least).max(1.0) * 0.06;
        Ok(((least - margin).max(0.0), most + margin))
    }

    fn chart<X, Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        x: X,
        y: Y,
    ) -> Result<(), Box<dyn Error>>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(66)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&|value| label(*value))
            .y_label_formatter(&|value| label(*value))
            .draw()?;
        // Ours last, so that no other line hides it.
        let mut lines: Vec<_> = self.series.iter().zip(self.styles()).collect();
        lines.sort_by_key(|(series, _)| series.name.starts_with("ours"));
        for (series, style) in lines {
            chart.draw_series(LineSeries::new(self.points(series), style))?;
            let dot = style.stroke_width(1).filled();
            let points = self.points(series);
            chart.draw_series(points.map(|point| Circle::new(point, 3, dot)))?;
        }
        Ok(())
    }

    /// The names of the lines, in the order of their last points.
    fn names(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn Error>> {
        let last = |series: &Series| series.points.last().map_or(0.0, |point| point.1);
        let mut names: Vec<_> = self.series.iter().zip(self.styles()).collect();
        names.sort_by(|a, b| last(b.0).total_cmp(&last(a.0)));
        for (place, (series, style)) in (0..).zip(names) {
            let y = 50 + 24 * place;
            area.draw(&PathElement::new([(4, y), (28, y)], style))?;
            area.draw(&Text::new(series.name.clone(), (34, y - 8), ("sans-serif", 14)))?;
        }
        Ok(())
    }

    fn styles(&self) -> Vec<ShapeStyle> {
        let (mut ours, mut peers) = (OURS.iter().cycle(), COLOURS.iter().cycle());
        let style = |series: &Series| {
            let is_ours = series.name.starts_with("ours");
            let colour = if is_ours { ours.next() } else { peers.next() };
            colour.unwrap_or(&BLACK).stroke_width(if is_ours { 3 } else { 2 })
        };
        self.series.iter().map(style).collect()
    }
}

/// A number on an axis.
fn label(value: f64) -> String {
    let (scaled, unit) = match value {
        large if large >= 1e6 => (large / 1e6, "M"),
        middle if middle >= 1e3 => (middle / 1e3, "k"),
        small => (small, ""),
    };
    let text = format!("{scaled:.4}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: &[(f64, f64)], is_log: bool) -> Plot {
        let series = |name: &str| Series { name: name.into(), points: points.to_vec() };
        let series = vec![series("ours"), series("a peer")];
        Plot { file: "plot.svg", title: "A title".into(), x: "across", y: "up", is_log, series }
    }

    #[test]
    fn plots_show_every_name_and_are_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        for is_log in [true, false] {
            let read = || {
                plot(&[(1e5, 20.0), (1e6, 30.0)], is_log).draw(folder.path()).unwrap();
                std::fs::read_to_string(folder.path().join("plot.svg")).unwrap()
            };
            let svg = read();
            for text in ["ours", "a peer", "A title", "across", "up"] {
                assert!(svg.contains(text), "{text}");
            }
            assert_eq!(svg, read());
        }
    }

    #[test]
    fn one_point_is_drawn_and_none_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(plot(&[(2_000.0, 20.0)], true).draw(folder.path()).is_ok());
        assert!(plot(&[(2_000.0, 20.0)], false).draw(folder.path()).is_ok());
        assert!(plot(&[], true).draw(folder.path()).is_err());
        assert!(plot(&[(1.0, 0.0)], true).draw(folder.path()).is_err());
        assert!(plot(&[(1.0, 0.0), (2.0, 3.0)], true).draw(folder.path()).is_ok());
    }

    #[test]
    fn labels_are_short() {
        assert_eq!([0.001, 20.0, 1e5, 2.5e6].map(label), ["0.001", "20", "100k", "2.5M"]);
    }
}
