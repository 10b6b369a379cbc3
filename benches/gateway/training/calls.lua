-- Typical calls of applications, one after another. The argument is the prefix of their paths.
local made, at = {}, 0

init = function(arguments)
  local prefix = arguments[1]
  local plain = { ["Accept"] = "application/json", ["User-Agent"] = "orders/4.2" }
  local browser = {
    ["Accept"] = "text/html,application/json;q=0.9,*/*;q=0.8", ["Accept-Encoding"] = "gzip, deflate", ["Accept-Language"] = "en,de;q=0.5",
    ["Cookie"] = "lang=en; seen=3", ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64)", ["X-Request-Id"] = "5f0c-9be1-77aa",
  }
  local json = { ["Content-Type"] = "application/json", ["User-Agent"] = "Java-http-client/17.0.9" }
  local order = '{"customer":4711,"lines":[{"item":7,"count":2},{"item":9,"count":1}]}'
  made = {
    wrk.format("GET", prefix .. "/items?page=2&size=50", plain),
    wrk.format("POST", prefix .. "/orders", json, order),
    wrk.format("GET", prefix .. "/items/7", browser),
    wrk.format("PUT", prefix .. "/items/7", json, string.rep(order, 60)),
    wrk.format("GET", prefix .. "/items/9", plain),
    wrk.format("GET", prefix .. "/report", plain),
    wrk.format("DELETE", prefix .. "/orders/12", plain),
    wrk.format("GET", prefix .. "/report", browser),
  }
end

request = function()
  at = at % #made + 1
  return made[at]
end
