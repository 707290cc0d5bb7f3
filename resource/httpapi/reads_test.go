package httpapi_test

import (
	"bytes"
	"strings"
	"testing"

	"example.com/resourcekit/internal/strictjson"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryDocumentIsReadOnce: a POST and a PATCH read the request once, the stored
// document at most once, and what is around data not at all if it is alone.
func TestEveryDocumentIsReadOnce(t *testing.T) {
	type counts struct{ request, stored, merged, around int }
	const full = `"customerId":"c-1","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z"`
	const old = full + `,"email":"e","customerDetailUrl":"STORED","smsOptOut":true,"emailOptOut":false`
	for _, tt := range []struct {
		name   string
		stored string // members, "" for none
		data   string // members, with REQUEST in it
		query  string
		want   counts
		status int
		answer string
		patch  bool // the same as a PATCH
	}{
		{"created", "", full + `,"phone":"REQUEST"`, "", counts{1, 0, 0, 0}, 200, "created", false},
		{"changed", old, `"customerId":"c-1","phone":"REQUEST"`, "", counts{1, 1, 0, 0}, 200, "updated", true},
		{"unchanged", strings.Replace(old, "STORED", "STORED REQUEST", 1), `"customerId":"c-1","customerDetailUrl":"STORED REQUEST"`, "", counts{0, 0, 2, 0}, 200, "unchanged", true},
		{"null deletes", old, `"customerId":"c-1","email":null,"phone":"REQUEST"`, "", counts{1, 1, 0, 0}, 200, "updated", true},
		{"unknown dropped", old, `"customerId":"c-1","x":1,"phone":"REQUEST"`, "?ignoreUnknownFields=true", counts{1, 1, 0, 0}, 200, "updated", true},
		{"violation", old, `"customerId":"c-1","x":"REQUEST"`, "", counts{1, 1, 0, 0}, 400, "unknown field", true},
		{"required null", old, `"customerId":"c-1","phone":"REQUEST","firstName":null`, "", counts{1, 1, 0, 0}, 400, "/firstName", true},
		{"no id", old, `"phone":"REQUEST"`, "", counts{1, 0, 0, 0}, 400, "/customerId", false},
		{"not JSON", old, `"customerId":"c-1","phone":"REQUEST",`, "", counts{1, 0, 0, 0}, 400, "not strict JSON", true},
		{"null resets a default", strings.Replace(old, `"smsOptOut":true`, `"smsOptOut":false`, 1), `"customerId":"c-1","smsOptOut":null,"phone":"REQUEST"`, "", counts{1, 1, 1, 0}, 200, "updated", true},
		{"null resets what is the default", old, `"customerId":"c-1","smsOptOut":null,"phone":"REQUEST"`, "", counts{1, 1, 0, 0}, 200, "updated", true},
		{"reject, exists", old, full + `,"phone":"REQUEST"`, "?onconflict=reject", counts{1, 0, 0, 0}, 400, "exists already", false},
		{"reject, created", "", full + `,"phone":"REQUEST"`, "?onconflict=reject", counts{1, 0, 0, 0}, 200, "created", false},
	} {
		data := "{" + tt.data + "}"
		beside := tt.want
		beside.around = 1
		ways := []struct {
			name string
			m    message
			want counts
		}{
			{"POST", post(tt.query, `{"data":`+data+`}`), tt.want},
			{"POST, blanks", post(tt.query, " { \"data\" :\n"+data+" } \n"), tt.want},
			{"POST, others beside data", post(tt.query, `{"x":1,"data":`+data+`,"y":[{}]}`), beside},
		}
		if tt.patch {
			ways = append(ways, ways[:3]...)
			for i := range ways[3:] {
				ways[3+i].name = strings.Replace(ways[i].name, "POST", "PATCH", 1)
				ways[3+i].m = get("c-1"+tt.query).as("PATCH", ways[i].m.body)
			}
			ways = append(ways, ways[0])
			ways[6].name = "PATCH, bare"
			ways[6].m = get("c-1"+tt.query, "Content-Type: application/merge-patch+json").as("PATCH", data)
		}
		for _, way := range ways {
			t.Run(tt.name+"/"+way.name, func(t *testing.T) {
				for _, slow := range []bool{false, true} {
					s := newService(t, nil)
					if tt.stored != "" {
						s.keep(t, acme, "c-1", "{"+tt.stored+"}")
					}
					var got counts
					count := func(src []byte) {
						switch hasRequest, hasStored := bytes.Contains(src, []byte("REQUEST")), bytes.Contains(src, []byte("STORED")); {
						case hasRequest && hasStored:
							got.merged++
						case hasRequest:
							got.request++
						case hasStored:
							got.stored++
						default:
							got.around++
						}
					}
					was := strictjson.Slow
					strictjson.Slow, strictjson.OnParse, strictjson.OnQuick = slow || was, count, count
					a := s.direct(t, way.m)
					strictjson.Slow, strictjson.OnParse, strictjson.OnQuick = was, nil, nil
					require.Equal(t, tt.status, a.status, a.body)
					assert.Contains(t, a.body, tt.answer)
					assert.Equal(t, way.want, got)
				}
			})
		}
	}
}
