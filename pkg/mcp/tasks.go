package mcp

import (
	"errors"
	"time"
)

// tasksExtension is the name of the extension by which a call may answer with a
// task, to be asked about later (ext-tasks, for 2026-07-28).
const tasksExtension = "io.modelcontextprotocol/tasks"

// codeCapability: the request's client does not declare what the method needs.
const codeCapability = -32021

// ErrNoTask says that there is no task of an ID.
var ErrNoTask = errors.New("no such task")

// A Task is a call that goes on after its answer. It must be on disk when it is
// given as a Result, so that its ID holds after a restart.
type Task struct {
	ID               string
	Message          string // where it stands, "" for nothing to say
	Created, Updated time.Time
	Result           *Result // nil while it works
}

// pollEvery is how often a client is asked to look at a task, in milliseconds.
const pollEvery = 2000

// fields are t as the extension writes it.
func (t *Task) fields() map[string]any {
	stamp := func(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
	m := map[string]any{
		"taskId": t.ID, "status": "working", "createdAt": stamp(t.Created), "lastUpdatedAt": stamp(t.Updated),
		"ttlMs": nil, "pollIntervalMs": pollEvery,
	}
	if t.Message != "" {
		m["statusMessage"] = t.Message
	}
	return m
}

// taskCreated is the answer of a call that has become a task.
func (s *Server) taskCreated(e era, t *Task) map[string]any {
	m := s.finish(e, t.fields())
	m["resultType"] = "task"
	return m
}

// task answers tasks/get, tasks/cancel and tasks/update. A task is the operator's
// to end: a cancel is acknowledged and changes nothing, as is the input that no
// task asks for.
func (c *conversation) task(m message, e era) *rpcError {
	if c.server.Task == nil || !e.modern {
		return errorf(codeUnknownMethod, "unknown method")
	}
	if !e.tasks {
		bad := errorf(codeCapability, "missing required client capability")
		bad.Data = map[string]any{"requiredCapabilities": map[string]any{"extensions": map[string]any{tasksExtension: map[string]any{}}}}
		return bad
	}
	id, ok := text(m.params, "taskId")
	if !ok {
		return errorf(codeInvalidParams, "%s has no string taskId", m.method)
	}
	t, err := c.server.Task(c.ctx, id)
	if errors.Is(err, ErrNoTask) {
		return errorf(codeInvalidParams, "no such task")
	}
	if err != nil {
		c.log.Error("task", "error", err)
		return errorf(codeInternal, "internal error; the operator's log has the cause")
	}
	result := map[string]any{}
	if m.method == "tasks/get" {
		result = t.fields()
		if t.Result != nil {
			// As the call itself would have been answered, but for its own _meta.
			done := content(*t.Result)
			done["resultType"] = "complete"
			result["status"], result["result"] = "completed", done
		}
	}
	c.sendResult(m.id, e, result)
	return nil
}
