//! The list of all metrics, as `sockmeter metrics` prints it: a change of a name, label or help shows in the diff.

use sockmeter::{check, config::Format};
use std::{env, fs, path::Path};

#[test]
fn the_list_of_metrics_is_as_it_was() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/metrics.txt");
    let now = check::metrics(Format::Text);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        now,
        golden,
        "run again with UPDATE_GOLDEN=1 if this is meant, and look at the difference of {}",
        path.display()
    );
}
