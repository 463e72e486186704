//! A trip is booked: flight, hotel, car. When one cannot be had, those before it are given back, last first.
//!
//! ```text
//! cargo run --example saga_by_hand
//! ```
//!
//! What undoes a booking is itself a recorded call: a crash in the middle of the undoing goes on with the undoing. A
//! call does nothing until it is awaited, so the calls that would undo are simply kept in a list.
//!
//! The trip that is called off is an ordinary result, not a failure. A failed execution can be resumed, and then the
//! booking that failed would be tried again, on a flight that was given back.

use flux::{Engine, ExecutionContext, TaskCall, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Trip {
    city: String,
    cars_left: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Booking {
    Booked(Vec<String>),
    CalledOff { reason: String },
}

#[task]
async fn book_flight(city: String) -> String {
    format!("flight to {city}")
}

#[task]
async fn book_hotel(city: String) -> String {
    format!("hotel in {city}")
}

#[task]
async fn rent_car(cars_left: u32) -> Result<String, String> {
    if cars_left == 0 {
        return Err("no car is left".to_owned());
    }
    Ok("car".to_owned())
}

/// Giving back has to succeed in the end, so it is tried until it does.
#[task(name = "cancel {booking}", max_attempts = "unlimited")]
async fn cancel(booking: String) {
    println!("  cancelled: {booking}");
}

#[workflow]
async fn book_trip(ctx: ExecutionContext<Trip>) -> Result<Booking, TaskError> {
    let mut undo = Vec::new();
    let reason = match book_all(ctx.input(), &mut undo).await {
        Ok(booked) => return Ok(Booking::Booked(booked)),
        Err(error) => error.message().to_owned(),
    };
    for call in undo.into_iter().rev() {
        call.await?;
    }
    Ok(Booking::CalledOff { reason })
}

async fn book_all(trip: &Trip, undo: &mut Vec<TaskCall<()>>) -> Result<Vec<String>, TaskError> {
    let flight = book_flight(trip.city.clone()).await?;
    undo.push(cancel(flight.clone()));
    let hotel = book_hotel(trip.city.clone()).await?;
    undo.push(cancel(hotel.clone()));
    let car = rent_car(trip.cars_left).await?;
    Ok(vec![flight, hotel, car])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::in_memory();
    for cars_left in [1, 0] {
        let trip = Trip {
            city: "Porto".to_owned(),
            cars_left,
        };
        let run = book_trip.on(&engine).run(trip).await?;
        println!("{cars_left} cars left: {:?}", run.into_result()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn book(cars_left: u32) -> (Booking, Vec<String>) {
        let engine = Engine::builder()
            .in_memory()
            .always_replay(true)
            .build()
            .await
            .unwrap();
        let trip = Trip {
            city: "Porto".to_owned(),
            cars_left,
        };
        let run = book_trip.on(&engine).run(trip).await.unwrap();
        let tasks = run.tasks().await.unwrap();
        (
            run.into_result().unwrap(),
            tasks.iter().map(|task| task.name().to_owned()).collect(),
        )
    }

    #[tokio::test]
    async fn a_trip_that_can_be_had_is_booked_and_nothing_is_cancelled() {
        let (booking, tasks) = book(1).await;
        let booked = ["flight to Porto", "hotel in Porto", "car"].map(str::to_owned);
        assert_eq!(booking, Booking::Booked(booked.to_vec()));
        assert_eq!(tasks, ["book_flight", "book_hotel", "rent_car"]);
    }

    #[tokio::test]
    async fn without_a_car_the_hotel_is_cancelled_and_then_the_flight() {
        let (booking, tasks) = book(0).await;
        assert_eq!(
            booking,
            Booking::CalledOff {
                reason: "no car is left".to_owned()
            }
        );
        assert_eq!(
            tasks[3..],
            ["cancel hotel in Porto", "cancel flight to Porto"]
        );
    }
}
