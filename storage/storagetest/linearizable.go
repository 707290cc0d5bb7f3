package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// The size of the history that is checked. The check is exponential in the worst case,
// and nearly linear for a right store. Writes of unknown outcome make it slow, so each
// client stops after a few.
const (
	linearClients    = 8
	linearOperations = 200 // of each client
	linearKeys       = 3
	linearUnknown    = 4 // of each client
	linearTimeout    = 20 * time.Second
)

// caseLinearizable records what some clients do to a few keys, and asks porcupine for an
// order in which one client alone could have seen the same.
func caseLinearizable(e *env) {
	store := e.open()
	start := time.Now()
	histories := make([][]porcupine.Operation, linearClients)
	err := inParallel(linearClients, func(client int) error {
		c := &linearClient{store: store, start: start, id: client, seen: make(map[string]storage.Revision)}
		err := c.run()
		histories[client] = c.history
		return err
	})
	require.NoError(e, err)
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	result := porcupine.CheckOperationsTimeout(registerModel, history, linearTimeout)
	require.Equal(e, porcupine.Ok, result, "the history of %d operations (Illegal: there is no order that explains it; Unknown: none was found in time)", len(history))
}

// call and outcome are one operation on the register.
type call struct {
	op     string // get, put, delete
	key    string
	many   bool // together with a key of the client's own
	expect storage.Revision
	next   register // of a put
}

type outcome struct {
	kind  string   // ok, conflict, not applied, unknown
	state register // what the call saw, if known
	known bool
}

// register is the state of one key. Absent is the zero register.
type register struct {
	revision storage.Revision
	data     string
}

// registerModel says what one client alone would see: a register with compare-and-swap,
// in which a refused write does nothing, whatever the reason.
var registerModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, op := range history {
			key := op.Input.(call).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		r, in, out := state.(register), input.(call), output.(outcome)
		if out.known { // a get, or a conflict with the record
			return r == out.state, r
		}
		matches := r.revision == in.expect
		switch out.kind {
		case "ok":
			return matches, in.next
		case "unknown":
			// It returns at the end of time, so it can come after all others, where no
			// client sees whether it was applied.
			if matches {
				return true, in.next
			}
		}
		return true, r
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

type linearClient struct {
	store   storage.Store
	start   time.Time
	id      int
	seen    map[string]storage.Revision // the last revision this client saw
	history []porcupine.Operation
	unknown int
}

func (c *linearClient) run() error {
	random := newRand(uint64(c.id))
	for n := range linearOperations {
		if c.unknown == linearUnknown {
			return nil
		}
		in := call{op: "get", key: "register-" + strconv.Itoa(random.IntN(linearKeys)), many: random.IntN(2) == 0}
		in.expect = c.seen[in.key]
		switch dice := random.IntN(10); {
		case dice < 5:
			in.op = "put"
			in.next = register{storage.NextRevision(in.expect), fmt.Sprintf("%d-%d", c.id, n)}
		case dice < 7 && in.expect != 0:
			in.op = "delete"
		}
		begin := time.Since(c.start)
		out, err := c.do(in)
		end := time.Since(c.start)
		if err != nil {
			return err
		}
		op := porcupine.Operation{ClientId: c.id, Input: in, Output: out, Call: int64(begin), Return: int64(end)}
		switch {
		case out.kind == "unknown":
			// It has not ended: it may be applied at any later time.
			op.Return = math.MaxInt64
			c.unknown++
		case out.known:
			c.seen[in.key] = out.state.revision
		case out.kind == "ok":
			c.seen[in.key] = in.next.revision
		case out.kind == "conflict" && in.op == "delete":
			c.seen[in.key] = 0 // perhaps it is absent: begin again
		}
		c.history = append(c.history, op)
	}
	return nil
}

func (c *linearClient) do(in call) (out outcome, err error) {
	ctx, key := context.Background(), testKey(in.key)
	own := testKey(fmt.Sprint("own-", c.id))
	var w storage.Write
	switch in.op {
	case "get":
		rec := storage.Record{}
		if in.many {
			var records []storage.Record
			if records, err = c.store.GetMany(ctx, []storage.Key{own, key}); err == nil {
				rec = records[1]
			}
		} else {
			rec, err = c.store.Get(ctx, key)
		}
		if out.known = err == nil || errors.Is(err, storage.ErrNotFound); out.known {
			out.kind, out.state = "ok", stateOf(rec)
			return out, nil
		}
	case "put":
		rec := record(key, in.next.data)
		rec.Revision = in.next.revision
		w = storage.Write{Record: rec, Expect: in.expect}
	case "delete":
		w = deleteOf(key, in.expect)
	}
	switch {
	case in.op == "get": // it failed
	case in.many:
		var errs []error
		if errs, err = writeAll(ctx, c.store, []storage.Write{putOf(record(own, "x"), 0), w}); err == nil {
			err = errs[1]
		}
	default:
		err = write(ctx, c.store, w)
	}
	switch {
	case err == nil:
		out.kind = "ok"
	case errors.Is(err, storage.ErrUnknownOutcome):
		out.kind = "unknown"
	case errors.Is(err, storage.ErrConflict):
		out.kind = "conflict"
		if current := currentOf(err); current != nil {
			out.known, out.state = true, stateOf(*current)
		}
	case errors.Is(err, storage.ErrUnavailable):
		out.kind = "not applied"
	default:
		return out, err
	}
	return out, nil
}

func stateOf(rec storage.Record) register { return register{rec.Revision, string(rec.Data)} }
