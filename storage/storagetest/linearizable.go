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

// The size of the history that is checked. The check is exponential in the
// worst case, and nearly linear for a store that is right; writes of unknown
// outcome are what makes it slow, so each client stops after a few.
const (
	linearClients    = 8
	linearOperations = 200 // of each client
	linearKeys       = 3
	linearUnknown    = 4 // of each client
	linearTimeout    = 20 * time.Second
)

// caseLinearizable records what some clients do to a few keys, and asks
// porcupine for an order in which one client alone could have seen the same.
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
	expect storage.Revision
	data   string
}

type outcome struct {
	kind  string // ok, absent, conflict, not applied, unknown
	state register
	known bool // state is what the call saw
}

// register is the state of one key. Absent has revision 0. After a write of
// unknown outcome the revision is not known yet.
type register struct {
	revision storage.Revision
	data     string
	unknown  bool
}

// meet returns the register with what was seen of it, or false if it cannot be
// what was seen.
func (r register) meet(seen register) (register, bool) {
	if r.unknown {
		return seen, seen.revision != 0 && seen.data == r.data
	}
	return r, r == seen
}

// registerModel says what one client alone would see: a register with
// compare-and-swap, in which a refused write does nothing, whatever the reason.
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
		if out.known {
			seen, ok := r.meet(out.state)
			if in.op == "get" || out.kind == "conflict" {
				return ok, seen
			}
		}
		matches := !r.unknown && r.revision == in.expect
		next := register{}
		if in.op == "put" {
			next = out.state
		}
		switch out.kind {
		case "ok":
			return matches, next
		case "absent": // only a delete gets here
			return r == register{}, r
		case "unknown":
			// Its return is at the end of time, so it can come after all
			// others, where nobody sees whether it was applied.
			if matches {
				return true, next
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
		in := call{op: "get", key: "register-" + strconv.Itoa(random.IntN(linearKeys))}
		in.expect = c.seen[in.key]
		switch dice := random.IntN(10); {
		case dice < 5:
			in.op, in.data = "put", fmt.Sprintf("%d-%d", c.id, n)
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
		if out.kind == "unknown" {
			// The client has not ended: it may be applied at any later time.
			op.Return = math.MaxInt64
			c.unknown++
		}
		if out.known || out.kind == "absent" || (out.kind == "ok" && in.op != "get") {
			c.seen[in.key] = out.state.revision
		}
		c.history = append(c.history, op)
	}
	return nil
}

func (c *linearClient) do(in call) (outcome, error) {
	ctx, key := context.Background(), testKey(in.key)
	var err error
	var out outcome
	switch in.op {
	case "get":
		var rec storage.Record
		rec, err = c.store.Get(ctx, key)
		out.known = err == nil || errors.Is(err, storage.ErrNotFound)
		out.state = register{revision: rec.Revision, data: string(rec.Data)}
	case "put":
		var rev storage.Revision
		rev, err = c.store.Put(ctx, record(key, in.data), in.expect)
		out.state = register{revision: rev, data: in.data}
	case "delete":
		err = c.store.Delete(ctx, key, in.expect)
	}
	var conflict *storage.ConflictError
	switch {
	case err == nil:
		out.kind = "ok"
	case errors.Is(err, storage.ErrUnknownOutcome):
		out.kind = "unknown"
		out.state = register{data: in.data, unknown: in.op == "put"}
	case errors.Is(err, storage.ErrConflict):
		out.kind = "conflict"
		if errors.As(err, &conflict) && conflict.Current != nil {
			out.known = true
			out.state = register{revision: conflict.Current.Revision, data: string(conflict.Current.Data)}
		}
	case errors.Is(err, storage.ErrNotFound):
		out.kind = "absent"
	case errors.Is(err, storage.ErrUnavailable):
		out.kind = "not applied"
	default:
		return out, err
	}
	return out, nil
}
