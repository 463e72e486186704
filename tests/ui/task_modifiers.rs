#[flux::task]
async unsafe fn charge(amount: u32) -> u32 {
    amount
}

#[flux::task]
async extern "C" fn ship(amount: u32) -> u32 {
    amount
}

fn main() {}
