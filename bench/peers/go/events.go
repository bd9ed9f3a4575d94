package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// The envelope of the wire contract, its payload left as it is until the type is known.
type envelope struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	Version       string          `json:"version"`
	Source        string          `json:"source"`
	Timestamp     time.Time       `json:"timestamp"`
	CorrelationID string          `json:"correlation_id"`
	CausationID   string          `json:"causation_id,omitempty"`
	Payload       json.RawMessage `json:"payload"`
}

type location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

type rideRequested struct {
	RideID      string   `json:"ride_id"`
	RiderID     string   `json:"rider_id"`
	Pickup      location `json:"pickup"`
	Dropoff     location `json:"dropoff"`
	ServiceType string   `json:"service_type"`
}

type rideDriverAssigned struct {
	RideID     string `json:"ride_id"`
	DriverID   string `json:"driver_id"`
	VehicleID  string `json:"vehicle_id"`
	EtaMinutes int    `json:"eta_minutes"`
}

type rideDriverArrived struct {
	RideID      string    `json:"ride_id"`
	ArrivalTime time.Time `json:"arrival_time"`
}

type rideStarted struct {
	RideID        string    `json:"ride_id"`
	StartTime     time.Time `json:"start_time"`
	StartLocation location  `json:"start_location"`
}

type rideCompleted struct {
	RideID       string    `json:"ride_id"`
	EndTime      time.Time `json:"end_time"`
	DistanceKm   float64   `json:"distance_km"`
	DurationMins int       `json:"duration_mins"`
	Fare         int64     `json:"fare"`
}

type rideRated struct {
	RideID  string `json:"ride_id"`
	Rating  int    `json:"rating"`
	RatedBy string `json:"rated_by"`
	Review  string `json:"review,omitempty"`
}

type driverLocationUpdated struct {
	DriverID string   `json:"driver_id"`
	Location location `json:"location"`
	Heading  float64  `json:"heading"`
	Speed    float64  `json:"speed"`
}

type paymentInitiated struct {
	PaymentID string `json:"payment_id"`
	RideID    string `json:"ride_id"`
	Amount    int64  `json:"amount"`
	Method    string `json:"method"`
}

type paymentCompleted struct {
	PaymentID      string `json:"payment_id"`
	TransactionRef string `json:"transaction_ref"`
}

type paymentFailed struct {
	PaymentID    string `json:"payment_id"`
	ErrorCode    string `json:"error_code"`
	ErrorMessage string `json:"error_message"`
}

// decode reads the envelope and its payload by type, as a handler would be given it.
func decode(value []byte) (any, error) {
	var e envelope
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, err
	}
	payload := payloadOf(e.Type)
	if payload == nil {
		return nil, fmt.Errorf("unknown type %q", e.Type)
	}
	return payload, json.Unmarshal(e.Payload, payload)
}

func payloadOf(eventType string) any {
	switch eventType {
	case "ride.requested":
		return new(rideRequested)
	case "ride.driver_assigned":
		return new(rideDriverAssigned)
	case "ride.driver_arrived":
		return new(rideDriverArrived)
	case "ride.started":
		return new(rideStarted)
	case "ride.completed":
		return new(rideCompleted)
	case "ride.rated":
		return new(rideRated)
	case "driver.location_updated":
		return new(driverLocationUpdated)
	case "payment.initiated":
		return new(paymentInitiated)
	case "payment.completed":
		return new(paymentCompleted)
	case "payment.failed":
		return new(paymentFailed)
	}
	return nil
}

// encode builds the n-th event of the publish workloads: what this library's side of the bench writes, field by field.
func encode(n int, at time.Time) (key, value []byte, err error) {
	ride := fmt.Sprintf("0190f3a4-0000-7000-8000-%012x", n%10_000)
	payload, err := json.Marshal(rideCompleted{
		RideID: ride, EndTime: at, DistanceKm: float64(n%400) / 10, DurationMins: n % 90, Fare: int64(5_000 + n%100_000),
	})
	if err != nil {
		return nil, nil, err
	}
	value, err = json.Marshal(envelope{
		ID:            fmt.Sprintf("0190f3a4-0001-7000-8000-%012x", n),
		Type:          "ride.completed",
		Version:       "1.0",
		Source:        "ride-service",
		Timestamp:     at,
		CorrelationID: fmt.Sprintf("0190f3a4-0002-7000-8000-%012x", n),
		Payload:       payload,
	})
	return []byte(ride), value, err
}

// work waits as long as the record's header says.
func work(header []byte) {
	if us, err := strconv.Atoi(string(header)); err == nil && us > 0 {
		time.Sleep(time.Duration(us) * time.Microsecond)
	}
}
