#[derive(Debug)]
struct Declined;

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("declined")
    }
}

fn is_transient(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::TimedOut
}

#[flux::task(max_attempts = 3, retry_if = is_transient)]
async fn charge(amount: u32) -> Result<u32, Declined> {
    if amount == 0 {
        Err(Declined)
    } else {
        Ok(amount)
    }
}

fn main() {
    let _ = charge(1);
}
