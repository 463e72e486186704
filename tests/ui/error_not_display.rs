struct Declined;

#[flux::task]
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
