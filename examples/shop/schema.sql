-- The application's own tables. Upkeep adds nothing to them but triggers.
create table users (
  id    integer primary key,
  name  text not null,
  email text,
  phone text
);
create table orders (
  id      integer primary key,
  user_id integer not null references users(id),
  state   text not null, -- draft, placed, sent
  ref_no  text not null
);
create index orders_user_id on orders(user_id);
create table line_items (
  id       integer primary key,
  order_id integer not null references orders(id),
  item_id  text not null, -- NetSuite's id of the item
  qty      integer not null,
  price    decimal(10,2) not null
);
create index line_items_order_id on line_items(order_id);
