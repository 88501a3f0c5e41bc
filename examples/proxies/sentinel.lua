-- Action of HAProxy that asks Sentinel's verify endpoint whether a request may pass:
--
--     http-request lua.sentinel_verify http://127.0.0.1:5000/oauth/verify?scope=read
--
-- Sets the headers X-Auth-* of a request that may pass. Answers any other request: with Sentinel's own 401 or 403, and
-- with 503 if Sentinel does not answer, or not as it should.

local IDENTITY = { "x-auth-user-id", "x-auth-username", "x-auth-client-id", "x-auth-scope" }

-- Returns the first value of a header of Sentinel's response, or nil.
local function value(response, name)
    local values = response.headers and response.headers[name]
    return values and (values[0] or values[1])
end

local function refuse(txn, status, headers)
    local reply = txn:reply({ status = status })
    reply:add_header("cache-control", "no-store")
    for name, text in pairs(headers) do
        reply:add_header(name, text)
    end
    txn:done(reply)
end

core.register_action("sentinel_verify", { "http-req" }, function(txn, url)
    local sent = txn.http:req_get_headers()["authorization"]
    local headers = {}
    if sent then
        -- HAProxy counts from 0. Several headers stay several, and Sentinel refuses them.
        headers["authorization"] = {}
        for index = 0, #sent do
            headers["authorization"][index + 1] = sent[index]
        end
    end
    local response = core.httpclient():get({ url = url, headers = headers, timeout = 2000 })
    local status = response and response.status
    if status == 200 and value(response, "x-auth-client-id") then
        for _, name in ipairs(IDENTITY) do
            txn.http:req_set_header(name, value(response, name) or "")
        end
    elseif status == 401 or status == 403 then
        refuse(txn, status, { ["www-authenticate"] = value(response, "www-authenticate") or "Bearer" })
    else
        refuse(txn, 503, { ["retry-after"] = "2" })
    end
end, 1)
