use super::*;

/// Writer that fails after a number of bytes, as on a full disk.
struct Full {
    written: Vec<u8>,
    left: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.left);
        if count == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.left -= count;
        self.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn line_after_cut_off_line_begins_on_new_line() {
    let (mut writer, mut out) = (LineWriter::default(), Full { written: Vec::new(), left: 9 });
    assert_eq!(writer.write(&mut out, b"first\nsecond\nthird\n"), 2);
    assert_eq!(writer.write(&mut out, b"lost\n"), 1);
    assert_eq!(writer.write(&mut out, b""), 0);
    out.left = 100;
    assert_eq!(writer.write(&mut out, b"fourth\n"), 0);
    assert_eq!(writer.write(&mut out, b"fifth\n"), 0);
    assert_eq!(String::from_utf8(out.written).unwrap(), "first\nsec\nfourth\nfifth\n");
}

#[test]
fn lines_beyond_queue_capacity_are_dropped_and_counted() {
    let (output, line) = (LogOutput::new(), vec![b'x'; CAPACITY / 4]);
    for _ in 0..7 {
        (&output).write_all(&line).unwrap();
    }
    let counter = IntCounter::new("dropped", "lines").unwrap();
    output.count_in(counter.clone());
    assert_eq!((output.state().lines.len(), counter.get()), (CAPACITY, 3));
    (&output).write_all(b"one more\n").unwrap();
    assert_eq!((output.state().lines.len(), counter.get()), (CAPACITY, 4));
    assert_eq!(DroppedReport::default().due(&mut output.state()), Some(4));
}

#[test]
fn lost_report_of_dropped_lines_is_due_again() {
    let (mut state, mut report) = (State::default(), DroppedReport::default());
    // For each batch: the number of lines that could not be written, and the report before it. The
    // report of one batch is written with the next. A report that is lost is not counted itself.
    for (lost, due) in [
        (0, None),
        (5, None),
        (0, None),
        (0, Some(5)),
        (1, None),
        (0, None),
        (0, Some(5)),
        (0, None),
    ] {
        assert_eq!(report.due(&mut state), due);
        report.written(lost, &mut state);
    }
}
