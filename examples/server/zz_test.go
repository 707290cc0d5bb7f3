package main
import ("testing";"context";"fmt";"os";"time";"strings"
"github.com/jackc/pgx/v5"
"example.com/resourcekit/examples/internal/testdb")
func TestZZ(t *testing.T){
 name:=testdb.New(t)
 c:=newCrowd(t,name,200000)
 med:=func(rest string)time.Duration{ var best time.Duration=time.Hour; for range 15 {s:=time.Now(); c.answer(t,rest); best=min(best,time.Since(s))}; return best}
 show:=func(){ fmt.Println("get",med("/c-0000077"),"find",med("?filter[email]="+email(777)),"page",med("?limit=100"),"sorted",med("?limit=100&sort=createdAt")) }
 show()
 conn,_:=pgx.Connect(context.Background(),name)
 q:=func(sql string){ rows,err:=conn.Query(context.Background(),sql); if err!=nil{t.Fatal(err)}; for rows.Next(){v,_:=rows.Values(); fmt.Println(v...)}; if rows.Err()!=nil{fmt.Println(rows.Err())} }
 q("select relname,reltuples,relpages from pg_class where relname in ('entries','records','entries_pkey','records_pkey')")
 q("select relname,last_analyze,last_autoanalyze,n_mod_since_analyze,n_live_tup from pg_stat_user_tables")
 if os.Getenv("ZZ")!="" { q("set plan_cache_mode="+os.Getenv("ZZ")) }
 stmt:=strings.ReplaceAll(os.Getenv("SQL"),"X","X")
 _=stmt
 q("analyze resourcekit.entries, resourcekit.records")
 show()
 time.Sleep(0)
}
