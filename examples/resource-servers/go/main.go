// A resource server that introspects tokens with Sentinel (RFC 7662).
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

var sentinel = &http.Client{Timeout: 2 * time.Second}

// introspect returns whether a token is active, its principal and its scopes.
func introspect(token string) (active bool, principal string, scopes []string, err error) {
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	request, err := http.NewRequest("POST", os.Getenv("SENTINEL_URL")+"/oauth/introspect", form)
	if err != nil {
		return
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// RFC 6749 section 2.3.1: id and secret are form-encoded before they go into the header.
	request.SetBasicAuth(url.QueryEscape(os.Getenv("CLIENT_ID")), url.QueryEscape(os.Getenv("CLIENT_SECRET")))
	response, err := sentinel.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	var claims struct {
		Active     bool
		Sub, Scope string
	}
	// 401 and 403 mean that the credentials of this server are wrong, not the token.
	if response.StatusCode != http.StatusOK {
		return false, "", nil, fmt.Errorf("introspection returned %s", response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&claims)
	return claims.Active, claims.Sub, strings.Fields(claims.Scope), err
}

// guard calls a handler with the principal of a token that has the scope.
func guard(scope string, next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(kind, "Bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		active, principal, scopes, err := introspect(strings.TrimSpace(token))
		switch {
		case err != nil:
			log.Print("cannot introspect a token: ", err)
			http.Error(w, "cannot check the token", http.StatusServiceUnavailable)
		case !active:
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "invalid token", http.StatusUnauthorized)
		case !slices.Contains(scopes, scope):
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s"`, scope))
			http.Error(w, "insufficient scope", http.StatusForbidden)
		default:
			next(w, r, principal)
		}
	}
}

func main() {
	name := func(w http.ResponseWriter, _ *http.Request, principal string) { fmt.Fprint(w, principal) }
	http.HandleFunc("GET /me", guard("read", name))
	http.HandleFunc("POST /notes", guard("write", name))
	http.HandleFunc("GET /public", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "public") })
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "8082"), nil))
}
