//! A trip is booked: flight, hotel, car. When one cannot be had, those before it are given back, last first.
//!
//! ```text
//! cargo run --example saga
//! ```
//!
//! Each task says what undoes it. That is a call as any other: recorded, tried as often as it says, and done once, also
//! when the process dies in the middle of the undoing. It is given the arguments of the task and what the task gave;
//! nothing (`None`) where nobody can know whether the task did its work.
//!
//! A trip that could not be booked has failed, and may be resumed: flight and hotel are booked anew then, since they
//! were given back.

use flux::{Engine, ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Trip {
    city: String,
    cars_left: u32,
}

#[task(rollback = cancel_flight)]
async fn book_flight(city: String) -> String {
    format!("flight to {city}")
}

/// Giving back has to succeed in the end, so it is tried until it does.
#[task(max_attempts = "unlimited")]
async fn cancel_flight(city: String, ticket: Option<String>) {
    match ticket {
        Some(ticket) => println!("  cancelled: {ticket}"),
        None => {
            println!("  asked the airline to cancel a flight to {city}, if there is one");
        }
    }
}

#[task(rollback = cancel_hotel)]
async fn book_hotel(city: String) -> String {
    format!("hotel in {city}")
}

/// Where one try is enough, an `async fn` will do: it becomes a step.
async fn cancel_hotel(_city: String, room: Option<String>) {
    tokio::task::yield_now().await; // a call to the hotel
    println!("  cancelled: {}", room.unwrap_or_default());
}

#[task]
async fn rent_car(cars_left: u32) -> Result<String, String> {
    if cars_left == 0 {
        return Err("no car is left".to_owned());
    }
    Ok("car".to_owned())
}

/// Runs whatever happens, after what was undone.
#[task]
async fn send_summary(city: String) {
    println!("  sent: what became of the trip to {city}");
}

#[workflow]
async fn book_trip(ctx: ExecutionContext<Trip>) -> Result<Vec<String>, TaskError> {
    let Trip { city, cars_left } = ctx.input().clone();
    let traveller = city.clone();
    ctx.on_exit(move || send_summary(traveller));
    let flight = book_flight(city.clone()).await?;
    let hotel = book_hotel(city).await?;
    let car = rent_car(cars_left).await?;
    Ok(vec![flight, hotel, car])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::in_memory();
    for cars_left in [1, 0] {
        println!("{cars_left} cars left:");
        let city = "Porto".to_owned();
        let run = book_trip.on(&engine).run(Trip { city, cars_left }).await?;
        match (run.output(), run.failure()) {
            (Some(booked), _) => println!("  booked: {}", booked.join(", ")),
            (None, Some(failure)) => println!("  {failure}"),
            (None, None) => println!("  {run}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flux::Execution;

    use super::*;

    async fn book(cars_left: u32) -> (Execution<Vec<String>>, Vec<String>) {
        let builder = Engine::builder().in_memory().always_replay(true);
        let engine = builder.build().await.unwrap();
        let city = "Porto".to_owned();
        let trip = Trip { city, cars_left };
        let run = book_trip.on(&engine).run(trip).await.unwrap();
        let tasks = run.tasks().await.unwrap();
        let names = tasks.iter().map(|task| task.name().to_owned()).collect();
        (run, names)
    }

    #[tokio::test]
    async fn a_trip_that_can_be_had_is_booked_and_nothing_is_cancelled() {
        let (run, tasks) = book(1).await;
        assert_eq!(
            run.into_result().unwrap(),
            ["flight to Porto", "hotel in Porto", "car"]
        );
        assert_eq!(
            tasks,
            ["book_flight", "book_hotel", "rent_car", "send_summary"]
        );
    }

    #[tokio::test]
    async fn without_a_car_the_hotel_is_cancelled_and_then_the_flight() {
        let (run, tasks) = book(0).await;
        assert_eq!(run.failure().unwrap().task(), Some("rent_car"));
        assert_eq!(
            tasks[3..],
            ["cancel_hotel", "cancel_flight", "send_summary"]
        );
    }

    #[tokio::test]
    async fn a_resume_books_anew_what_was_given_back() {
        let engine = Engine::in_memory();
        let city = "Porto".to_owned();
        let trip = Trip { city, cars_left: 0 };
        let run = book_trip.on(&engine).run(trip).await.unwrap();
        let id = run.execution_id();
        let run = book_trip.on(&engine).resume(id).await.unwrap();
        let calls = run.events().await.unwrap().into_iter();
        let started = calls.filter(|event| event.kind == flux::EventKind::TaskStarted);
        let names: Vec<_> = started.filter_map(|event| event.name).collect();
        let there_is_no_car = [
            "book_flight",
            "book_hotel",
            "rent_car",
            "cancel_hotel",
            "cancel_flight",
            "send_summary",
        ];
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        assert_eq!(names[..6], there_is_no_car);
        assert_eq!(names[6..], there_is_no_car);
    }
}
