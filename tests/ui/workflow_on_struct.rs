#[flux::workflow]
struct Order;

#[flux::task]
struct Charge;

#[flux::durable]
struct Race;

fn main() {}
