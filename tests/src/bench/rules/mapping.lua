-- The mapping of guest.rs.
local function hex(bytes, first, last, step)
  local text = {}
  for at = first, last, step do
    text[#text + 1] = string.format("%02x", bytes:byte(at))
  end
  return table.concat(text)
end

local function guid(b)
  return hex(b, 4, 1, -1) .. "-" .. hex(b, 6, 5, -1) .. "-" .. hex(b, 8, 7, -1) .. "-"
    .. hex(b, 9, 10, 1) .. "-" .. hex(b, 11, 16, 1)
end

return function(entry)
  local attributes = entry.attributes
  local function first(name)
    local values = attributes[name]
    return values and values[1]
  end
  local account = first("sAMAccountName")
  if not account then
    return { fail = "sAMAccountName is missing" }
  end
  if account:sub(-1) == "$" then
    return { skip = "computer account" }
  end
  local id = first("objectGUID")
  if not id then
    return { fail = "objectGUID is missing" }
  end
  local mail = first("mail")
  local control = tonumber(first("userAccountControl") or 0)
  return {
    { "externalId", { guid(id) } },
    { "userName", { account:lower() .. "@" .. entry.parameters["Domain.FQDN"] } },
    { "name.givenName", attributes.givenName or {} },
    { "name.familyName", attributes.sn or {} },
    { "displayName", { (first("sn") or "") .. " " .. (first("givenName") or "") } },
    { "emails.value", { mail and mail:lower() } },
    { "active", { control & 2 == 0 } },
  }
end
