-- GET and POST in turn, each with a number of its own, so that the upstream's log shows whether a call was carried out twice.
local number = 0
request = function()
  number = number + 1
  wrk.headers["X-Call"] = tostring(number)
  if number % 2 == 0 then return wrk.format("GET", "/h2/things") end
  return wrk.format("POST", "/h2/things", nil, '{"item":"lamp"}')
end
dofile((debug.getinfo(1, "S").source:match("^@(.*)availability_peers/")) .. "report.lua")
