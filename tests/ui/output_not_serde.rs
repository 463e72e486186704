struct Conn;

#[flux::task]
async fn connect(url: String) -> Conn {
    let _ = url;
    Conn
}

#[flux::task]
async fn try_connect(url: String) -> Result<Conn, String> {
    let _ = url;
    Ok(Conn)
}

fn main() {
    let _ = connect(String::new());
    let _ = try_connect(String::new());
}
