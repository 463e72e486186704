struct Conn;

#[flux::task]
async fn save(conn: Conn, text: String) -> u32 {
    let _ = (conn, text);
    1
}

fn main() {
    let _ = save(Conn, String::new());
}
