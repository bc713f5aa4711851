package main

import (
	"context"
	"errors"

	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
)

// task is a proposal as a task of the protocol: its ID is the task's, and the
// queue is what lasts.
func (a *agent) task(_ context.Context, id string) (mcp.Task, error) {
	r, err := a.queue.Get(id)
	if errors.Is(err, proposal.ErrNotFound) {
		return mcp.Task{}, mcp.ErrNoTask
	}
	if err != nil {
		return mcp.Task{}, err
	}
	return *taskOf(r), nil
}

func taskOf(r proposal.Record) *mcp.Task {
	t := &mcp.Task{ID: r.ID, Message: "waiting for the operator (proposal " + r.ID + ")", Created: r.Filed, Updated: r.Filed}
	if r.Decision != nil {
		done := told(r, "")
		t.Result, t.Updated, t.Message = &done, r.Decision.Time, r.State()
	}
	return t
}
