package salesforcetest

import (
	"fmt"
	"strings"
)

// Object is a type of record: a standard or a custom object.
type Object struct {
	Name string
	// Prefix is the first three characters of its ids.
	Prefix string
	Fields []Field
}

// Field is a field of an object. Id, CreatedDate, LastModifiedDate,
// SystemModstamp and IsDeleted are there by themselves.
type Field struct {
	Name string
	// Type is as in a describe: string, textarea, email, phone, url, picklist,
	// multipicklist, double, currency, int, boolean, date, datetime, reference.
	Type string
	// Length bounds a text, in characters; zero means 255.
	Length int
	// Required, Unique, ExternalID, CaseSensitive and ReadOnly are settings of
	// the field. Values of a unique or external id field that are not case
	// sensitive are one whatever their case.
	Required, Unique, ExternalID, CaseSensitive, ReadOnly bool
	// RefersTo names the objects that a reference leads to, Relationship is how
	// it is called ("Account" of AccountId, "Account__r" of Account__c).
	RefersTo     []string
	Relationship string
	// OnDelete says what becomes of the record when the one it refers to is
	// deleted: "" clears the field, "cascade" deletes it, "restrict" refuses.
	OnDelete string
	// CreateOnly is a field that is set when the record is made and can't be
	// changed: a master-detail relationship that is not reparentable, which is the
	// default of one.
	CreateOnly bool
	// Values are those of a restricted picklist; none: any value is taken.
	Values []string
}

// ExternalField is the external id field that every object of
// [DefaultObjects] has: unique and case sensitive.
const ExternalField = "Upkeep_Id__c"

// DefaultObjects are a small part of what every org has, and an invoice with
// its lines as an administrator would make them.
func DefaultObjects() []Object {
	external := Field{Name: ExternalField, Type: "string", ExternalID: true, Unique: true, CaseSensitive: true}
	text := func(name string) Field { return Field{Name: name, Type: "string"} }
	typed := func(name, kind string) Field { return Field{Name: name, Type: kind} }
	required := func(f Field) Field { f.Required = true; return f }
	refers := func(name, relationship, onDelete string, to ...string) Field {
		return Field{Name: name, Type: "reference", Relationship: relationship, RefersTo: to, OnDelete: onDelete}
	}
	master := func(f Field) Field { f.Required, f.CreateOnly = true, true; return f }
	long := Field{Name: "Description", Type: "textarea", Length: 32_000}
	return []Object{
		{Name: "User", Prefix: "005", Fields: []Field{external, required(text("Name")), {Name: "Username", Type: "string", Unique: true}}},
		{Name: "Account", Prefix: "001", Fields: []Field{external,
			// As such fields often are: not unique, and blind to case.
			{Name: "Legacy_Id__c", Type: "string", ExternalID: true},
			required(text("Name")), text("AccountNumber"), text("Site"), {Name: "Phone", Type: "phone", Length: 40}, {Name: "Website", Type: "url"},
			text("BillingStreet"), {Name: "BillingCity", Type: "string", Length: 40}, text("BillingCountry"),
			typed("AnnualRevenue", "currency"), typed("NumberOfEmployees", "int"), typed("Score__c", "double"), typed("Active__c", "boolean"),
			typed("Since__c", "date"), typed("Seen__c", "datetime"), long, {Name: "Email__c", Type: "email", Length: 80},
			{Name: "Rating", Type: "picklist", Values: []string{"Hot", "Warm", "Cold"}}, typed("Tags__c", "multipicklist"),
			{Name: "Vat_Id__c", Type: "string", Unique: true}, refers("ParentId", "Parent", "", "Account"), refers("OwnerId", "Owner", "", "User")}},
		{Name: "Contact", Prefix: "003", Fields: []Field{external, required(text("LastName")), {Name: "FirstName", Type: "string", Length: 40},
			{Name: "Email", Type: "email", Length: 80}, typed("Birthdate", "date"), long,
			refers("AccountId", "Account", "cascade", "Account"), refers("ReportsToId", "ReportsTo", "", "Contact")}},
		{Name: "Product2", Prefix: "01t", Fields: []Field{external, required(text("Name")), text("ProductCode"), typed("IsActive", "boolean"), long}},
		{Name: "Order", Prefix: "801", Fields: []Field{external, required(refers("AccountId", "Account", "restrict", "Account")),
			required(typed("EffectiveDate", "date")), required(Field{Name: "Status", Type: "picklist", Values: []string{"Draft", "Activated"}}),
			{Name: "OrderNumber", Type: "string", ReadOnly: true}, text("PoNumber"), {Name: "TotalAmount", Type: "currency", ReadOnly: true}, long}},
		{Name: "Invoice__c", Prefix: "a00", Fields: []Field{external, text("Name"), required(refers("Account__c", "Account__r", "restrict", "Account")),
			typed("Total__c", "currency"), typed("Issued__c", "date"), long}},
		{Name: "Invoice_Line__c", Prefix: "a01", Fields: []Field{external, text("Name"),
			master(refers("Invoice__c", "Invoice__r", "cascade", "Invoice__c")), refers("Product__c", "Product__r", "", "Product2"),
			typed("Quantity__c", "double"), typed("Price__c", "currency")}},
		{Name: "Task", Prefix: "00T", Fields: []Field{external, required(text("Subject")), refers("WhatId", "What", "", "Account", "Order", "Invoice__c"),
			refers("WhoId", "Who", "", "Contact"), long}},
	}
}

// object is a declared object, looked up by name.
type object struct {
	*Object
	fields        map[string]*Field // by lower case name
	relationships map[string]*Field // by lower case relationship name
}

func newObjects(declared []Object) (map[string]*object, error) {
	all := map[string]*object{}
	for _, d := range declared {
		if len(d.Prefix) != 3 || d.Name == "" {
			return nil, fmt.Errorf("object %q needs a name and a prefix of three characters", d.Name)
		}
		d.Fields = append([]Field{
			{Name: "Id", Type: "id", ReadOnly: true}, {Name: "CreatedDate", Type: "datetime", ReadOnly: true},
			{Name: "LastModifiedDate", Type: "datetime", ReadOnly: true}, {Name: "SystemModstamp", Type: "datetime", ReadOnly: true},
			{Name: "IsDeleted", Type: "boolean", ReadOnly: true},
		}, d.Fields...)
		o := &object{Object: &d, fields: map[string]*Field{}, relationships: map[string]*Field{}}
		for i := range d.Fields {
			f := &d.Fields[i]
			if f.Length == 0 {
				f.Length = 255
			}
			o.fields[strings.ToLower(f.Name)] = f
			if f.Relationship != "" {
				o.relationships[strings.ToLower(f.Relationship)] = f
			}
		}
		all[strings.ToLower(d.Name)] = o
	}
	return all, nil
}

func (s *Server) object(name string) *object { return s.objects[strings.ToLower(name)] }

// Hide takes from the integration's user the permission to see an object, or
// gives it back. To the API there is no such object then, and there are none of
// its records; [Server.Records] and the like still show them. It fails for an
// object that there is not.
func (s *Server) Hide(name string, hidden bool) error {
	o := s.object(name)
	if o == nil {
		return fmt.Errorf("object %s does not exist", name)
	}
	if hidden {
		s.hidden.Store(o, true)
	} else {
		s.hidden.Delete(o)
	}
	return nil
}

// seen tells whether the integration's user may see an object.
func (s *Server) seen(o *object) bool {
	_, hidden := s.hidden.Load(o)
	return !hidden
}

// visible is an object that the integration's user may see; nil for others.
func (s *Server) visible(name string) *object {
	if o := s.object(name); o != nil && s.seen(o) {
		return o
	}
	return nil
}

func (o *object) field(name string) *Field { return o.fields[strings.ToLower(name)] }

// lookup tells that records can be found by the field's value.
func (f *Field) lookup() bool { return f.ExternalID || f.Type == "id" }

// norm is the form in which a value is compared.
func (f *Field) norm(v any) string {
	text := fmt.Sprint(v)
	if f.CaseSensitive {
		return text
	}
	return strings.ToLower(text)
}
