//! Bad input: each a clear line, exit status 2, and nothing written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{FIXED, Home, hex, lines, set, set_in};
use gcs_core::{Delta, HashRange, Salt, Set};

/// A folder with some good and bad files.
fn home() -> Home {
    let home = Home::new();
    let (a, b) = (set(0..100), set(10..110));
    home.write("a.gcs", a.as_bytes());
    home.write("b.gcs", b.as_bytes());
    home.write("ab.delta", Delta::between(&a, &b).unwrap().as_bytes());
    home.write("range.gcs", set_in(12345, 0..100).as_bytes());
    let salted = Set::build(Salt([7; 16]), HashRange::new(common::RANGE).unwrap(), [[0; 20]]);
    home.write("salt.gcs", salted.unwrap().as_bytes());
    home.write("hex", lines(0..100));
    home.write("empty", "");
    let mut damaged = a.as_bytes().to_vec();
    damaged[60] ^= 1;
    home.write("damaged.gcs", &damaged);
    home.write("short.gcs", &a.as_bytes()[..200]);
    home.write("cut.gcs", &a.as_bytes()[..20]);
    home.write("long.gcs", [a.as_bytes(), b"x"].concat());
    let mut newer = a.as_bytes().to_vec();
    newer[6] = 9;
    home.write("newer.gcs", &newer);
    let mut damaged = home.read("ab.delta");
    *damaged.last_mut().unwrap() ^= 1;
    home.write("damaged.delta", &damaged);
    a.write_index(std::fs::File::create(home.path("a.index")).unwrap()).unwrap();
    home.write("bundle", b"GCSBDL\x01\0rest");
    std::fs::create_dir(home.path("folder")).unwrap();
    home
}

/// Runs with words separated by spaces; fails unless the complaint has these words and nothing is
/// written.
#[track_caller]
fn refused(home: &Home, arguments: &str, wanted: &[&str]) {
    let before = home.names();
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let complaint = home.run(&arguments).complaint();
    for wanted in wanted {
        assert!(complaint.contains(wanted), "{arguments:?}: {complaint}");
    }
    assert_eq!(home.names(), before, "{arguments:?}");
}

#[test]
fn files_of_the_wrong_kind_are_told_apart() {
    let home = home();
    for (arguments, wanted) in [
        ("query ab.delta 00", "ab.delta: a set was expected: this is a delta"),
        ("query hex 00", "hex: a set was expected: this is a file that gcs does not know"),
        ("query empty 00", "empty: a set was expected: this is an empty file"),
        ("list ab.delta", "a set was expected: this is a delta"),
        ("diff a.gcs ab.delta -o out", "ab.delta: a set was expected: this is a delta"),
        ("diff ab.delta b.gcs -o out", "ab.delta: a set was expected: this is a delta"),
        ("apply a.gcs b.gcs -o out", "b.gcs: a delta was expected: this is a set"),
        ("apply ab.delta a.gcs -o out", "a delta was expected: this is a set"),
        ("apply ab.delta ab.delta -o out", "a set was expected: this is a delta"),
        ("union a.gcs ab.delta -o out", "a set was expected: this is a delta"),
        ("intersect a.gcs hex -o out", "a set was expected: this is a file that gcs does not"),
        ("subtract empty a.gcs -o out", "a set was expected: this is an empty file"),
        ("encode hex -o out --like ab.delta", "a set was expected: this is a delta"),
        ("query a.index 00", "a.index: a set was expected: this is an index of a set"),
        ("index ab.delta", "ab.delta: a set was expected: this is a delta"),
        ("index hex -o out", "hex: a set was expected: this is a file that gcs does not know"),
        ("index a.index -o out", "a.index: a set was expected: this is an index of a set"),
        ("query a.gcs 00 --index b.gcs", "b.gcs: an index of a set was expected: this is a set"),
        ("query a.gcs 00 --index hex", "hex: an index of a set was expected: this is a file that"),
        ("apply a.gcs a.index -o out", "a.index: a delta was expected: this is an index of a set"),
        (
            "inspect hex",
            "hex: this is a file that gcs does not know: expected a set, a delta or an index",
        ),
        (
            "inspect bundle",
            "this is a bundle of a publication: expected a set, a delta or an index",
        ),
        ("verify empty", "this is an empty file"),
    ] {
        refused(&home, arguments, &[wanted]);
    }
}

#[test]
fn damaged_files_are_never_read_as_sets() {
    let home = home();
    for name in ["damaged.gcs", "short.gcs", "cut.gcs", "long.gcs"] {
        let wanted = format!("{name}: is damaged: ");
        for command in [
            "query {} 00",
            "query {}",
            "index {}",
            "list {}",
            "inspect {}",
            "verify {}",
            "diff a.gcs {} -o out",
            "apply {} ab.delta -o out",
            "union a.gcs {} -o out",
            "subtract {} a.gcs -o out",
            "encode hex -o out --like {}",
        ] {
            refused(&home, &command.replace("{}", name), &[&wanted, "; get a new copy\n"]);
        }
    }
    let wanted = ["newer.gcs: expected format version 1, got 9; get a newer gcs"];
    refused(&home, "verify newer.gcs", &wanted);
    refused(&home, "verify damaged.delta", &["damaged.delta: is damaged: "]);
    refused(&home, "apply a.gcs damaged.delta -o out", &["damaged.delta: is damaged: "]);
}

#[test]
fn a_named_index_that_does_not_fit_is_never_used() {
    let home = home();
    let remedy = "make it again with gcs index --force";
    let other = ["a.index: does not serve b.gcs: the index is that of the set", remedy];
    refused(&home, "query b.gcs 00 --index a.index", &other);
    home.write("b.gcs.index", home.read("a.index"));
    let other = ["b.gcs.index: does not serve b.gcs: the index is that of the set", remedy];
    refused(&home, "verify b.gcs.index", &other);
    refused(&home, "verify a.index", &["a.index: an index is read only beside its set: a is not"]);
    refused(&home, "query a.gcs 00 --index missing", &["missing: cannot be read"]);
    refused(&home, "query missing 00 --index a.index", &["missing: cannot be read"]);
    let whole = home.read("a.index");
    home.write("a.gcs.index", &whole[..whole.len() - 1]);
    let cut = ["a.gcs.index: does not serve a.gcs: the index: expected ", remedy];
    refused(&home, "query a.gcs 00 --index a.gcs.index", &cut);
    refused(&home, "inspect a.gcs.index", &cut);
    // A byte of the index or of the set that has changed is never "not in the set", and the file
    // that is damaged is the one that is named. Byte 60 is of the identity of the set.
    for at in [10, 60, 98, 121, 130] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        home.write("a.gcs.index", &damaged);
        let wanted = ["a.gcs.index: does not serve a.gcs: "];
        refused(&home, "query a.gcs 00 --index a.gcs.index", &wanted);
        refused(&home, "verify a.gcs.index", &wanted);
    }
    home.write("a.gcs.index", &whole);
    let last = home.read("a.gcs").len() - 1;
    for at in [10, 60, last] {
        let mut damaged = set(0..100).into_inner();
        damaged[at] ^= 1;
        home.write("a.gcs", &damaged);
        refused(&home, "query a.gcs 00 --index a.gcs.index", &["a.gcs: is damaged: "]);
        refused(&home, "verify a.gcs.index", &["a.gcs: is damaged: "]);
        refused(&home, "index a.gcs --force", &["a.gcs: is damaged: "]);
    }
    assert_eq!(home.read("a.gcs.index"), whole);
}

#[test]
fn an_index_beside_the_set_that_does_not_serve_is_told_and_set_aside() {
    let home = home();
    let element = hex(7);
    let whole = home.read("a.index");
    let cut = whole[..whole.len() - 1].to_vec();
    let old = {
        let mut old = Vec::new();
        set(0..90).write_index(&mut old).unwrap();
        old
    };
    let mut damaged = whole.clone();
    damaged[130] ^= 1;
    for (index, why) in [
        (old, "a.gcs.index: does not serve a.gcs: the index is that of the set"),
        (cut, "a.gcs.index: does not serve a.gcs: the index: expected "),
        (damaged, "a.gcs.index: does not serve a.gcs: "),
        (b"no index".to_vec(), "a.gcs.index: an index of a set was expected"),
    ] {
        home.write("a.gcs.index", index);
        let ran = home.run(&["query", "a.gcs", &element]);
        assert_eq!((ran.status, ran.out), (Some(0), format!("{element}\n")), "{}", ran.err);
        assert!(ran.err.starts_with(&format!("gcs: {why}")), "{}", ran.err);
        assert!(ran.err.ends_with("; until then the whole set is read\n"), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert_eq!(
            home.run(&["query", "a.gcs", &element, "--no-index"]).answer(),
            element.clone() + "\n"
        );
    }
    // A set that is damaged is an error all the same.
    home.write("a.gcs.index", whole);
    let mut damaged = home.read("a.gcs");
    damaged[60] ^= 1;
    home.write("a.gcs", &damaged);
    refused(&home, "query a.gcs 00", &["a.gcs: is damaged: "]);
}

#[test]
fn a_damaged_header_is_damage_and_no_other_salt() {
    let home = home();
    let whole = home.read("a.gcs");
    for at in 8..40 {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        home.write("header.gcs", &damaged);
        for command in [
            "union a.gcs header.gcs -o out",
            "subtract header.gcs a.gcs -o out",
            "diff a.gcs header.gcs -o out",
            "diff header.gcs a.gcs -o out",
            "apply header.gcs ab.delta -o out",
            "encode hex -o out --like header.gcs",
        ] {
            refused(&home, command, &["header.gcs: is damaged: "]);
        }
    }
}

#[test]
fn input_of_which_no_line_is_an_element_is_an_error() {
    let home = home();
    home.write("words", "one\ntwo\n\n");
    let wanted = "not one line is an element: 2 lines left out as bad; ";
    let all_bad = |arguments: &str, done: &str| {
        let ran = home.run(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
        let last = ran.err.lines().last().unwrap();
        assert!(last.starts_with(&format!("gcs: {wanted}{done} (see --format")), "{last}");
        assert!(!home.names().contains(&"out".to_owned()));
    };
    all_bad("encode words -o out --on-error skip", "nothing was written");
    for more in ["", " -v", " -c", " --all", " -q", " --no-index"] {
        let command = format!("query a.gcs -f words --on-error skip{more}");
        all_bad(&command, "nothing was asked");
    }
    home.write("raw", [7; 3]);
    let said = home.run(&[
        "encode",
        "raw",
        "-o",
        "out",
        "--format",
        "raw",
        "--length",
        "4",
        "--on-error",
        "skip",
    ]);
    assert!(said.err.contains("not one record is an element: 1 record left out"), "{}", said.err);
}

#[test]
fn files_that_hold_no_lines_are_named_with_what_makes_lines_of_them() {
    let home = home();
    for (name, head, wanted) in [
        (
            "x.gz",
            &b"\x1f\x8b\x08\0rest\n"[..],
            "compressed with gzip; make lines of it: zcat x.gz | gcs",
        ),
        ("x.zip", b"PK\x03\x04rest", "a zip archive; make lines of it: unzip -p x.zip | gcs"),
        ("x.xz", b"\xfd7zXZ\0rest", "xzcat x.xz | gcs"),
        ("x.zst", b"\x28\xb5\x2f\xfdrest", "zstdcat x.zst | gcs"),
        ("x.bz2", b"BZh91AY&SYrest", "bzcat x.bz2 | gcs"),
        ("x.7z", b"7z\xbc\xaf\x27\x1crest", "7z e -so x.7z | gcs"),
        (
            "x.txt",
            b"\xff\xfe0\x000\0\n\0",
            "text in UTF-16; make lines of it: iconv -f UTF-16 -t UTF-8 x.txt | gcs",
        ),
        ("x.be", b"\xfe\xff\x000\x000\0\n", "text in UTF-16; "),
        ("ab.delta", b"", "a delta; gcs apply SET DELTA makes a set with it"),
        ("a.gcs", b"", "a set; it is made already; gcs query SET asks it"),
    ] {
        if !head.is_empty() {
            home.write(name, head);
        }
        let place = format!("{name}: lines of elements were expected: this is ");
        for options in ["", " --expected 5", " --format text", " --on-error skip"] {
            refused(&home, &format!("encode {name} -o out{options}"), &[&place, wanted]);
        }
        refused(&home, &format!("query b.gcs -f {name}"), &[&place, wanted]);
        let said = home.pipe(home.read(name), &["query", "b.gcs"]).complaint();
        assert!(said.contains("standard input: lines of elements were expected: "), "{said}");
        // Where a set belongs, they are told apart too.
        if name.starts_with('x') {
            refused(&home, &format!("inspect {name}"), &[&format!("{name}: this is ")]);
            assert!(!home.run(&["inspect", name]).err.contains("does not know"), "{name}");
        }
    }
    home.write("wide", b"0\x000\0\n\0");
    refused(&home, "encode wide -o out", &["character 2 is none, but a zero byte", "iconv"]);
    // Records may begin with any two bytes.
    home.write("raw", b"\x1f\x8b\xff\xfe");
    home.run(&["encode", "raw", "-o", "raw.gcs", "--format", "raw", "--length", "2"]).answer();
}

#[test]
fn verify_goes_on_after_a_bad_file() {
    let home = home();
    let ran = home.run(&["verify", "a.gcs", "damaged.gcs", "missing", "b.gcs"]);
    assert_eq!(ran.status, Some(2));
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    let told: Vec<&str> = ran.err.lines().collect();
    assert!(told[0].starts_with("gcs: damaged.gcs: is damaged: "), "{told:?}");
    assert!(told[1].starts_with("gcs: missing: cannot be read: "), "{told:?}");
    assert_eq!(told[2..], ["gcs: 2 of 4 files are not valid: see above; get new copies"]);
    let ran = home.run(&["verify", "--json", "damaged.gcs", "a.gcs"]);
    let told: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (ran.status, &told[0]["valid"], &told[1]["valid"]),
        (Some(2), &false.into(), &true.into())
    );
    assert!(told[0]["error"].as_str().unwrap().starts_with("damaged.gcs: is damaged: "));
    assert_eq!(told[0].as_object().unwrap().len(), 3);
}

#[test]
fn sets_that_do_not_fit_together_are_told_how() {
    let home = home();
    let remedy = "make one of the two again with gcs encode --like";
    for command in [
        "union a.gcs b.gcs {} -o out",
        "intersect a.gcs {} -o out",
        "subtract a.gcs {} -o out",
        "diff a.gcs {} -o out",
    ] {
        let salt = "salt.gcs: differs from a.gcs in its salt: 0707";
        refused(&home, &command.replace("{}", "salt.gcs"), &[salt, remedy]);
        let range = "range.gcs: differs from a.gcs in its hash range: 12345, and not 1099511627776";
        refused(&home, &command.replace("{}", "range.gcs"), &[range, remedy]);
    }
    let wanted = ["ab.delta: does not apply to b.gcs: ", "the set has these changes already"];
    refused(&home, "apply b.gcs ab.delta -o out", &wanted);
    home.write("other.gcs", set(5..6).as_bytes());
    let wanted = ["does not apply to other.gcs: ", "use the set that the delta was made from"];
    refused(&home, "apply other.gcs ab.delta -o out", &wanted);
    refused(
        &home,
        "apply salt.gcs ab.delta -o out",
        &["does not apply to salt.gcs: expected salt"],
    );
    refused(&home, "apply range.gcs ab.delta -o out", &["expected hash range"]);
}

#[test]
fn a_line_that_is_no_element_is_named_and_stops() {
    let home = home();
    let discarded = "; nothing was written (--on-error skip leaves such lines out)\n";
    let long = "00".repeat(1 << 16);
    let very_long = "00".repeat(1 << 20);
    for (line, options, wanted) in [
        ("no hash", "", "hexadecimal digits were expected, character 1 is none"),
        ("00112", "", "an even number of hexadecimal digits was expected, got 5"),
        (
            "00:1",
            "",
            "hexadecimal digits were expected, character 3 is none, but \":\" (for lines such as HASH:COUNT say --field 1)",
        ),
        ("00ff", " --length 20", "an element of 20 bytes was expected, got 2"),
        ("00", " --field 2", "at least 2 fields were expected, got 1"),
        ("00:", " --field 2", "an element was expected in the field, which is empty"),
        ("*AAA", " --format base64", "base64 was expected, character 1 is wrong"),
        ("A", " --format base64", "base64 was expected, a length of 1 is impossible"),
        (&long, "", "at most 65,536 bytes were expected, got more"),
        (&very_long, "", "at most 65,536 bytes were expected, got more"),
    ] {
        home.write("in", format!("{}{line}\n{}", lines(0..3).replace("5C", "5c"), hex(4)));
        // The lines before are elements in every format of the table.
        let good = if options.contains("--field 2") { "x:00\n" } else { "AAAA\n" };
        if !options.contains("--length") {
            home.write("in", format!("{}{line}\n{good}", good.repeat(3)));
        }
        for threads in [1, 3] {
            let fixed = FIXED.join(" ");
            let command = format!("encode in -o out --threads {threads} {fixed}{options}");
            let place = format!("gcs: in: line 4: {wanted}");
            refused(&home, &command, &[&place, discarded]);
        }
    }
    home.write("raw", [7; 50]);
    let wanted = "gcs: raw: record 3: an element of 20 bytes was expected, got 10; nothing was written \
                  (--on-error skip leaves such records out)";
    refused(&home, "encode raw -o out --format raw --length 20", &[wanted]);
    // Line numbers go on over blocks, and begin again with each file.
    home.write("in", lines(0..20_000) + "none");
    refused(&home, "encode hex in -o out", &["gcs: in: line 20,001: "]);
}

#[test]
fn a_bad_line_stops_at_once_though_more_input_may_come() {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;
    let home = home();
    let arguments = [&["encode", "-o", "out"], &FIXED[..]].concat();
    let mut command = home.command(&arguments);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a block, and then nothing for ever.
    let _may_be_closed = stdin.write_all(("none\n".to_owned() + &lines(0..20_000)).as_bytes());
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.starts_with("gcs: standard input: line 1: "), "{told}");
    assert_eq!(child.wait().unwrap().code(), Some(2));
    drop(stdin);
    assert!(!home.names().contains(&"out".to_owned()));
}

#[test]
fn a_goal_that_does_not_fit_is_told_with_what_does() {
    let home = home();
    for (options, wanted) in [
        (
            "--rate 1e-16",
            "100 elements at a rate of 1e-16: the hash range would reach 2^57; ask for a rate of",
        ),
        ("--rate-bits 57", "100 elements at a rate of 2^-57: the hash range would reach 2^57"),
        ("--expected 4294967295 --rate 1e-9", "4,294,967,295 elements at a rate of 1e-9"),
        ("--expected 4294967296", "4,294,967,296 elements: a set holds at most 4,294,967,295"),
        ("--size 90", "100 elements in 90 bytes: too little; they take "),
    ] {
        refused(&home, &format!("encode hex -o out {options}"), &[wanted]);
    }
}

#[test]
fn what_cannot_be_counted_needs_the_number_expected() {
    let home = home();
    let remedy = "say --expected NUMBER, --hash-range F or --like SET";
    refused(&home, "encode -o out", &["standard input: its elements cannot be counted", remedy]);
    refused(&home, "encode hex - -o out", &["standard input: its elements", remedy]);
    refused(&home, "encode - - -o out --expected 1", &["standard input (-) named twice"]);
}

#[test]
fn files_that_cannot_be_read_or_made_are_named() {
    let home = home();
    for (arguments, wanted) in [
        ("encode missing -o out", "missing: cannot be read: No such file"),
        ("encode missing -o out --expected 1", "missing: cannot be read: No such file"),
        ("encode folder -o out", "folder: cannot be read: is a folder"),
        ("encode hex folder -o out --expected 1", "folder: cannot be read: is a folder"),
        ("query missing 00", "missing: cannot be read: No such file"),
        ("query a.gcs -f missing", "missing: cannot be read: No such file"),
        ("query folder 00", "folder: cannot be read: is a folder"),
        ("union a.gcs missing -o out", "missing: cannot be read: No such file"),
        ("encode hex -o a.gcs", "a.gcs: is there already: name another file, or say --force"),
        ("diff a.gcs b.gcs -o a.gcs", "a.gcs: is there already"),
        ("encode hex -o folder --force", "folder: cannot be replaced: it is no ordinary file"),
        ("encode hex -o no/such/out", "no/such/out: cannot be written: No such file"),
    ] {
        refused(&home, arguments, &[wanted]);
    }
    assert_eq!(home.read("a.gcs"), set(0..100).as_bytes());
}

#[test]
fn wrong_arguments_are_refused_with_status_2() {
    let home = home();
    for arguments in [
        "",
        "encode",
        "encode hex",
        "query",
        "union -o out",
        "diff a.gcs -o out",
        "no-such-command",
        "encode hex -o out --rate 0",
        "encode hex -o out --rate 2",
        "encode hex -o out --rate x",
        "encode hex -o out --size 1XB",
        "encode hex -o out --rate 1e-3 --size 1MB",
        "encode hex -o out --hash-range 0",
        "encode hex -o out --hash-range 144115188075855872",
        "encode hex -o out --hash-range 5 --expected 7",
        "encode hex -o out --like a.gcs --rate 1e-6",
        "encode hex -o out --like a.gcs --salt 00",
        "encode hex -o out --salt 00",
        "encode hex -o out --threads 0",
        "encode hex -o out --expected 0",
        "encode hex -o out --rate-bits 0",
        "encode hex -o out --memory 1X",
        "encode hex -o out --length 0",
        "encode hex -o out --field 0",
        "encode hex -o out --separator ;",
        "encode hex -o out --field 1 --separator ab",
        "encode hex -o out --format json",
        "encode hex -o out --on-error maybe",
        "query a.gcs 00 -c -q",
        "query a.gcs 00 -v --all",
        "query a.gcs 00 --index a.index --no-index",
        "index",
        "completions tcsh",
    ] {
        let words: Vec<&str> = arguments.split(' ').filter(|word| !word.is_empty()).collect();
        let before = home.names();
        let ran = home.run(&words);
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{arguments}");
        let said = ["error: ", "Makes a small file"].iter().any(|told| ran.err.starts_with(told));
        assert!(said, "{arguments}: {}", ran.err);
        assert_eq!(home.names(), before, "{arguments}");
    }
    refused(
        &home,
        "encode hex -o out --format raw",
        &["--format raw: the size of a record is not known; say --length"],
    );
    let wanted = ["--field: raw records have no fields; leave it out"];
    refused(&home, "encode hex -o out --format raw --length 4 --field 1", &wanted);
    let wanted = ["ELEMENT: raw records cannot be given as arguments"];
    refused(&home, "query a.gcs 00 --format raw --length 1", &wanted);
    let wanted = ["--memory 4194303: this is too little to sort anything; say 4194304 or more"];
    refused(&home, "encode hex -o out --memory 4194303", &wanted);
    for (option, form) in [
        ("--threads", "such as 200000, 200k, 1.5M, 16Ki or 1e6, got"),
        ("--expected", "such as 200000, 200k, 1.5M, 16Ki or 1e6, got"),
        ("--hash-range", "such as 200000, 200k, 1.5M, 16Ki or 1e6, got"),
        ("--field", "such as 200000, 200k, 1.5M, 16Ki or 1e6, got"),
        ("--memory", "expected a size such as 1.2GB (10^9 bytes), 512MiB"),
        ("--size", "expected a size such as 1.2GB (10^9 bytes), 512MiB"),
    ] {
        for bad in ["-0", "1.5.5", "lots"] {
            let ran = home.run(&["encode", "hex", "-o", "out", &format!("{option}={bad}")]);
            assert!(ran.status == Some(2) && ran.err.contains(form), "{option} {bad}: {}", ran.err);
        }
    }
    refused(&home, "man nothing", &["nothing: there is no such command"]);
    refused(
        &home,
        "query a.gcs 0g",
        &["argument 1: hexadecimal digits were expected, character 2"],
    );
}
