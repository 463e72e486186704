struct Shop;

impl Shop {
    #[flux::task]
    async fn charge(&self, amount: u32) -> u32 {
        amount
    }

    #[flux::task]
    async fn open(name: String) -> u32 {
        Self::count(&name)
    }

    fn count(name: &str) -> u32 {
        name.len() as u32
    }
}

fn main() {}
