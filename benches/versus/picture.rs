//! The figures as a picture: SVG that is legible on light and on dark.

use std::fmt::Write as _;

use crate::field::cores::Cores;
use crate::field::report::{Result as Turns, Results};
use crate::field::task::{Figure, What};
use crate::peers::title;

/// Of a panel, in the picture's own units.
const WIDTH: usize = 400;
const TITLE: usize = 46;
const LINE: usize = 22;
const GAP: usize = 18;
/// Where bars begin in a panel, and how long the longest is.
const BAR: usize = 80;
const LONGEST: usize = 170;
/// A bar that is so many times the first is cut off.
const CUT: f64 = 4.0;

const STYLE: &str = "<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.unit { font-size: 11px; fill: #59636e }
rect { fill: #9aa4ae }
.first { fill: #2f6fde }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.unit { fill: #9198a1 }
rect { fill: #656c76 }
.first { fill: #5b93f5 }
}
</style>
";

/// A panel for each figure that the works are about, two side by side.
pub fn draw(all: &[Results<'_>]) -> String {
    let panels: Vec<(&Results<'_>, Figure)> = all
        .iter()
        .flat_map(|results| shown(results).map(move |figure| (results, figure)))
        .collect();
    let lines = all.iter().map(|results| results.servers.len()).max().unwrap_or(0);
    let height = TITLE + lines * LINE + GAP;
    let (across, down) = (WIDTH * 2, panels.len().div_ceil(2) * height);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {across} {down}\" \
         width=\"{across}\">\n{STYLE}"
    );
    for (number, (results, figure)) in panels.iter().enumerate() {
        let (x, y) = (number % 2 * WIDTH, number / 2 * height);
        let _ = writeln!(picture, "<g transform=\"translate({x} {y})\">");
        panel(&mut picture, results, figure);
        picture.push_str("</g>\n");
    }
    picture.push_str("</svg>\n");
    picture
}

/// What a work is about: where the server has a core, its CPU time.
fn shown(results: &Results<'_>) -> impl Iterator<Item = Figure> {
    let mut figures = results.task.figures();
    match (results.task.what, results.task.cores) {
        (What::Idle, _) => {}
        (What::Quiet { .. }, Cores::Shared) => drop(figures.remove(0)),
        _ => figures.truncate(1),
    }
    figures.into_iter()
}

fn panel(picture: &mut String, results: &Results<'_>, figure: &Figure) {
    let (task, name) = (results.task.title(), figure.name);
    let (task, cores) = task.rsplit_once(", ").unwrap_or((&task, ""));
    let _ = writeln!(picture, "<text class=\"title\" x=\"0\" y=\"16\">{task}</text>");
    let _ = writeln!(picture, "<text class=\"unit\" x=\"0\" y=\"34\">{name}, {cores}</text>");
    let outcomes: Vec<_> = results.servers.iter().map(Turns::outcome).collect();
    let values: Vec<f64> = outcomes.iter().map(|outcome| (figure.of)(outcome)).collect();
    let cut = values.first().map_or(1.0, |first| first * CUT);
    let most = values.iter().copied().fold(0.0, f64::max).min(cut);
    for (number, (result, value)) in results.servers.iter().zip(&values).enumerate() {
        let y = TITLE + number * LINE;
        let class = if number == 0 { " class=\"first\"" } else { "" };
        let length = value.min(most) / most * f64::from(u32::try_from(LONGEST).unwrap_or(0));
        let more = if *value > most { " …" } else { "" };
        let outcome = &outcomes[number];
        let lost = match outcome.missing {
            0 => String::new(),
            missing => format!(", lost {}%", (missing * 100).div_ceil(outcome.expected.max(1))),
        };
        let _ = writeln!(picture, "<text x=\"0\" y=\"{}\">{}</text>", y + 14, title(result.server));
        let _ = writeln!(
            picture,
            "<rect{class} x=\"{BAR}\" y=\"{}\" width=\"{length:.1}\" height=\"15\" rx=\"2\"/>",
            y + 2
        );
        let _ = writeln!(
            picture,
            "<text x=\"{:.1}\" y=\"{}\">{value:.*}{more}{lost}</text>",
            length + f64::from(u32::try_from(BAR + 6).unwrap_or(0)),
            y + 14,
            figure.decimals
        );
    }
}
