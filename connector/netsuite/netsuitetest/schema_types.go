package netsuitetest

// The fields below are those of the REST API Browser that integrations use;
// an account has many more, and a name that is missing here is treated as one
// that the account's role does not see.

func entityTypes() []*recordType {
	entity := func(name, label string, extra ...any) *recordType {
		return &recordType{name: name, label: label, space: "entity", table: name, title: "entityId", unique: "entityId",
			fields: join(common(), of(text, "entityId", "email", "phone", "altPhone", "fax", "comments"),
				of(flag, "isInactive"), ref("subsidiary", "Primary Subsidiary", "subsidiary"),
				ref("customForm", "Custom Form", "customForm"), join(extra...)),
		}
	}
	person := of(text, "firstName", "middleName", "lastName", "salutation", "title")
	addressBook := func() []*sublist {
		// Keyed by internalId in the account; REST shows it as "id".
		return []*sublist{{name: "addressBook", key: "id", fields: join(of(integer, "id"),
			of(flag, "defaultBilling", "defaultShipping", "isResidential"), of(text, "label"), address("addressBookAddress"))}}
	}
	customer := entity("customer", "Customer", of(text, "companyName", "url", "vatRegNumber", "accountNumber"), person, of(flag, "isPerson"),
		ref("currency", "Primary Currency", "currency"), ref("terms", "Terms", "term"), ref("parent", "Child Of", "customer"),
		ref("entityStatus", "Status", "customerStatus"), ref("category", "Category", "customerCategory"),
		ref("priceLevel", "Price Level", "priceLevel"), of(money, "creditLimit"), fixed(of(money, "balance")...))
	customer.lists = addressBook()
	vendor := entity("vendor", "Vendor", of(text, "companyName", "url", "accountNumber"), person, of(flag, "isPerson"),
		ref("currency", "Primary Currency", "currency"), ref("terms", "Terms", "term"))
	vendor.lists = addressBook()
	contact := entity("contact", "Contact", person, ref("company", "Company", "customer", "vendor", "partner"))
	employee := entity("employee", "Employee", person, ref("department", "Department", "department"))
	partner := entity("partner", "Partner", of(text, "companyName"), person, of(flag, "isPerson"))
	return []*recordType{customer, contact, vendor, employee, partner}
}

// orderStates are the states of a sales order; the letters are verified, the
// names of C to H follow the documentation of the user interface.
var orderStates = []option{
	{"A", "Pending Approval"}, {"B", "Pending Fulfillment"}, {"C", "Cancelled"}, {"D", "Partially Fulfilled"},
	{"E", "Pending Billing/Partially Fulfilled"}, {"F", "Pending Billing"}, {"G", "Billed"}, {"H", "Closed"},
}

func itemLines(extra ...any) *sublist {
	return &sublist{name: "item", key: "line", fields: join(
		of(integer, "line"), need(ref("item", "Item", itemNames...)), of(decimal, "quantity", "rate"), of(money, "amount"),
		of(text, "description"), ref("price", "Price Level", "priceLevel"), ref("location", "Location", "location"),
		ref("department", "Department", "department"), ref("class", "Class", "classification"), join(extra...))}
}

var itemNames = []string{"inventoryItem", "nonInventorySaleItem", "serviceSaleItem"}

func transactionTypes() []*recordType {
	transaction := func(name, label, code, prefix string, lists []*sublist, extra ...any) *recordType {
		return &recordType{name: name, label: label, space: "transaction", table: "transaction", code: code, prefix: prefix, title: "tranId",
			lists: lists,
			fields: join(common(), of(date, "tranDate"), of(text, "tranId", "memo"), ref("customForm", "Custom Form", "customForm"),
				ref("subsidiary", "Subsidiary", "subsidiary"), ref("location", "Location", "location"),
				ref("department", "Department", "department"), ref("class", "Class", "classification"), join(extra...)),
		}
	}
	sale := func() []*field {
		return join(need(ref("entity", "Customer", "customer")), of(text, "otherRefNum", "email"),
			ref("currency", "Currency", "currency"), of(decimal, "exchangeRate"), ref("terms", "Terms", "term"),
			of(date, "shipDate", "startDate", "endDate"), address("billingAddress"), address("shippingAddress"),
			of(money, "shippingCost"), of(flag, "toBeEmailed", "toBePrinted"), ref("salesRep", "Sales Rep", "employee"),
			fixed(of(money, "subtotal", "taxTotal", "total")...))
	}
	from := func() *field { return ref("createdFrom", "Created From", "salesOrder") }
	lines := func(extra ...any) []*sublist { return []*sublist{itemLines(extra...)} }
	linked := func() *field { return &field{name: "orderLine", kind: integer} }

	state := pick("orderStatus", orderStates...)
	order := transaction("salesOrder", "Sales Order", "SalesOrd", "SO", lines(of(flag, "isClosed"), of(text, "lineUniqueKey"),
		fixed(of(decimal, "quantityFulfilled", "quantityBilled", "quantityCommitted", "quantityBackOrdered")...)),
		sale(), state, fixed(pick("status", orderStates...)), of(flag, "shipComplete"))
	order.lists[0].field0("lineUniqueKey").readOnly = true

	fulfillment := transaction("itemFulfillment", "Item Fulfillment", "ItemShip", "IF",
		[]*sublist{itemLines(linked(), of(flag, "itemReceive")),
			{name: "package", fields: join(of(text, "packageTrackingNumber", "packageDescr"), of(decimal, "packageWeight"))}},
		from(), fixed(ref("entity", "Customer", "customer")), address("shippingAddress"), fixed(pick("status", shipStates...)),
		pick("shipStatus", shipStates...), ref("inventoryLocation", "Inventory Location", "location"))

	invoice := transaction("invoice", "Invoice", "CustInvc", "INV", lines(linked()), sale(), from(), of(date, "dueDate"),
		fixed(of(money, "amountRemaining", "amountPaid")...), fixed(pick("status", option{"A", "Open"}, option{"B", "Paid In Full"})))
	cash := transaction("cashSale", "Cash Sale", "CashSale", "CS", lines(linked()), sale(), from())
	request := transaction("fulfillmentRequest", "Fulfillment Request", "FulfReq", "FR", lines(linked()), from(), fixed(ref("entity", "Customer", "customer")))
	fulfillment.lists[0].static, request.lists[0].static = true, true
	returned := transaction("returnAuthorization", "Return Authorization", "RtnAuth", "RMA", lines(linked()), sale(), from())
	bill := transaction("vendorBill", "Bill", "VendBill", "BILL", lines(),
		need(ref("entity", "Vendor", "vendor")), ref("currency", "Currency", "currency"), of(date, "dueDate"), fixed(of(money, "total")...))
	return []*recordType{order, fulfillment, invoice, cash, request, returned, bill}
}

// shipStates: the names are not confirmed by the documentation.
var shipStates = []option{{"A", "Picked"}, {"B", "Packed"}, {"C", "Shipped"}}

func (l *sublist) field0(name string) *field {
	for _, f := range l.fields {
		if f.name == name {
			return f
		}
	}
	return &field{}
}

func itemTypes() []*recordType {
	item := func(name, label string) *recordType {
		return &recordType{name: name, label: label, space: "item", table: "item", title: "itemId", unique: "itemId",
			fields: join(common(), need(&field{name: "itemId", label: "Item Name/Number"}),
				of(text, "displayName", "upcCode", "salesDescription", "mpn"), of(flag, "isInactive"), of(decimal, "cost", "weight"),
				ref("subsidiary", "Subsidiary", "subsidiary"), ref("location", "Location", "location")),
			// In the account a price is one cell of a matrix
			// (currencypage=1,pricelevel=1,quantity=10); it is replaced whole here.
			lists: []*sublist{{name: "price", fields: join(ref("priceLevel", "Price Level", "priceLevel"),
				ref("currencyPage", "Currency", "currency"), of(decimal, "quantity", "price"))}},
		}
	}
	return []*recordType{item("inventoryItem", "Inventory Item"), item("nonInventorySaleItem", "Non-Inventory Item for Sale"), item("serviceSaleItem", "Service for Sale")}
}

func listTypes() []*recordType {
	list := func(name, label string) *recordType {
		return &recordType{name: name, label: label, space: name, table: name, title: "name", unique: "name",
			fields: join(common(), need(&field{name: "name", label: "Name"}), of(text, "symbol"), of(flag, "isInactive"))}
	}
	return []*recordType{
		list("subsidiary", "Subsidiary"), list("location", "Location"), list("department", "Department"),
		list("classification", "Class"), list("currency", "Currency"), list("term", "Term"), list("priceLevel", "Price Level"),
		list("customerStatus", "Customer Status"), list("customerCategory", "Customer Category"), list("customForm", "Custom Form"),
	}
}
