//! QEMU's control protocol (docs/interop/qmp-spec.txt of QEMU): JSON objects, one a line.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};

use serde_json::{Value, json};

use crate::tools::TaskError;

/// A connection to a machine. It is the machine's standard input and output, so that it ends with the machine.
#[derive(Debug)]
pub(super) struct Qmp {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn broken(error: &dyn std::fmt::Display) -> TaskError {
    TaskError::Expected(format!("QEMU's control protocol: {error}"))
}

impl Qmp {
    /// Waits until the machine is there, and ends the negotiation.
    pub(super) fn negotiate(input: ChildStdin, output: ChildStdout) -> Result<Self, TaskError> {
        let mut qmp = Self { input, output: BufReader::new(output) };
        qmp.receive()?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command, and waits until it is done.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, TaskError> {
        let line = json!({ "execute": command, "arguments": arguments });
        self.input.write_all(format!("{line}\n").as_bytes()).map_err(|error| broken(&error))?;
        loop {
            // Events come in between.
            let mut answer = self.receive()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(broken(&format!("{line}: {error}")));
            }
        }
    }

    fn receive(&mut self) -> Result<Value, TaskError> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(broken(&"QEMU has ended")),
            Ok(_) => serde_json::from_str(&line).map_err(|error| broken(&error)),
            Err(error) => Err(broken(&error)),
        }
    }
}
