//! The binary `flux`: the commands without any workflow code.

fn main() {
    flux_cli::main()
}
