package main

import (
	"context"
	"log/slog"
	"time"

	"example.com/resourcekit/resource"
)

// reindexTells is how often a reindex says how far it is.
const reindexTells = 10 * time.Second

// reindex gives the resources of before the schemas had indexes their entries, for one
// tenant after the other. Requests go on meanwhile: lists that need an index read all
// resources of the tenant, and an order by it is a 503. If it is ended, the next start of
// the server goes on.
func (s *service) reindex(ctx context.Context, tenants tenants) {
	for _, c := range s.collections {
		for _, name := range tenants.names {
			log := s.log.With("schema", c.Schema().Name(), "tenant", name)
			resources := 0
			done, err := c.Indexed(ctx, tenants.ids[name])
			if err == nil && !done {
				resources, err = s.reindexTenant(ctx, c, tenants, name, log)
			}
			if err != nil && (ctx.Err() == nil || resources > 0) { // else the server was stopped before it began
				log.Warn("reindex ended early; the next start goes on with it", "err", err)
			}
		}
	}
}

func (s *service) reindexTenant(
	ctx context.Context, c *resource.Collection, tenants tenants, name string, log *slog.Logger,
) (resources int, err error) {
	start, told := time.Now(), time.Time{}
	done, err := c.Reindex(ctx, tenants.ids[name], func(r resource.Reindexed) error {
		if r.Resources > 0 && time.Since(told) > reindexTells {
			told = time.Now()
			log.Info("reindex: the data is older than the indexes", "resources", r.Resources)
		}
		return nil
	})
	if err != nil || done.Resources == 0 {
		return done.Resources, err
	}
	duplicates := 0
	for _, ids := range done.Duplicates {
		duplicates += len(ids)
	}
	log.Info("reindex done", "resources", done.Resources, "duplicates", duplicates,
		"damaged", len(done.Damaged), "duration", time.Since(start))
	return done.Resources, nil
}
